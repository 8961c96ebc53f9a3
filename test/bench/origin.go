package main

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// origin is the application behind all caches, in this process, so that its CPU time counts as nobody's. The page of
// /SIZE/NAME has that many bytes, and says which it is.
type origin struct {
	addr   string
	server *fasthttp.Server
	asked  atomic.Int64 // requests so far
}

func startOrigin() (*origin, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &origin{addr: l.Addr().String()}
	o.server = &fasthttp.Server{Handler: o.handle, Name: "origin"}
	go func() { _ = o.server.Serve(l) }() // until it is shut down
	return o, nil
}

func (o *origin) handle(ctx *fasthttp.RequestCtx) {
	o.asked.Add(1)
	path := string(ctx.Path())
	size, err := strconv.Atoi(strings.Split(path, "/")[1])
	if err != nil || size > 1<<20 {
		ctx.NotFound()
		return
	}
	h := &ctx.Response.Header
	h.SetContentType("text/html; charset=utf-8")
	h.Set("Cache-Control", "max-age=3600")
	// HAProxy wants one.
	h.Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
	ctx.SetBody(pageBody(path, size))
}

// pageBody is a page: its path, and bytes up to the size.
func pageBody(path string, size int) []byte {
	b := make([]byte, 0, size)
	b = append(append(b, path...), '\n')
	return append(b, bytes.Repeat([]byte{'.'}, size-len(b))...)
}

func pagePath(size, n int) string { return fmt.Sprintf("/%d/%d", size, n) }

func (o *origin) stop() { _ = o.server.Shutdown() }
