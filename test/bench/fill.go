package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// memory is what a contender's servers hold for the pages of the largest stock.
type memory struct {
	name         string
	pages, taken int64 // bytes
}

const (
	// fillers is how many clients fetch pages at once.
	fillers = 16
	// fillPasses bounds how often all pages are fetched until none is a miss: what comes
	// while too much waits to be stored already is answered and not stored.
	fillPasses = 20
)

// fill fetches all pages until the contender answers each without the origin, and compares what it answers.
func (s *stage) fill(ctx context.Context, c *contender) (memory, error) {
	m := memory{name: c.name}
	for _, l := range s.stock() {
		before, err := c.resident()
		if err != nil {
			return m, err
		}
		if err := s.fillWith(ctx, c, l); err != nil {
			return m, err
		}
		after, err := c.resident()
		if err != nil {
			return m, err
		}
		if bytes := int64(l.size * l.pages); bytes > m.pages {
			m.pages, m.taken = bytes, after-before
		}
	}
	return m, nil
}

func (s *stage) fillWith(ctx context.Context, c *contender, l stocked) error {
	for range fillPasses {
		before := s.origin.asked.Load()
		if err := fetchAll(ctx, c.addr(l.size), l); err != nil {
			return err
		}
		if s.origin.asked.Load() == before {
			return nil
		}
	}
	return fmt.Errorf("after %d requests for each page of %s some are still not hits", fillPasses, sizeName(l.size))
}

// fetchAll fetches each page of a size once.
func fetchAll(ctx context.Context, addr string, l stocked) error {
	client := &fasthttp.HostClient{Addr: addr}
	defer client.CloseIdleConnections()
	var next atomic.Int64
	errs := make([]error, fillers)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			for errs[i] == nil && ctx.Err() == nil {
				n := int(next.Add(1))
				if n > l.pages {
					return
				}
				errs[i] = fetch(client, addr, pagePath(l.size, n), l.size)
			}
		})
	}
	all.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

func fetch(client *fasthttp.HostClient, addr, path string, size int) error {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI("http://" + addr + path)
	if err := client.Do(req, resp); err != nil {
		return err
	}
	if status := resp.StatusCode(); status != 200 || !bytes.Equal(resp.Body(), pageBody(path, size)) {
		return fmt.Errorf("%s: %d and a body of %d bytes: %.60q", path, status, len(resp.Body()), resp.Body())
	}
	return nil
}
