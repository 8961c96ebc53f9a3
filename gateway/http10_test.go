package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// An HTTP/1.0 client, an nginx with its default settings say, is never sent chunks (RFC 9112, section 6.1): a body whose length
// is not known ends with the connection, whether it is fetched, passed on or unpacked, and whatever the client asked for.
func TestNoChunksForHTTP10(t *testing.T) {
	const size = 300_000
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(strings.Repeat("x", size)))
	z.Close()
	answered := make(chan struct{}, 1) // the client has the head of the answer
	g := runGateway(t, "", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path == "/packed" {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed.Bytes())
			return
		}
		for i := range 3 {
			_, _ = w.Write(bytes.Repeat([]byte("x"), size/3))
			w.(http.Flusher).Flush()
			if i == 0 && r.Method == http.MethodGet { // a page that had come whole by the time of the answer would have a length
				select {
				case <-answered:
				case <-r.Context().Done():
				case <-time.After(10 * time.Second):
				}
			}
		}
	})
	for _, tt := range []struct{ name, target, fields string }{
		{"a miss", "/page", ""},
		{"a pass", "/page", "Cookie: sid=1\r\n"},
		{"a page that is unpacked on its way", "/packed", ""},
		{"a kept page that is unpacked", "/packed", ""},
	} {
		if tt.name == "a kept page that is unpacked" && !g.hits(tt.target, "Accept-Encoding", "gzip") {
			t.Error("not kept")
		}
		c, r := g.connect()
		if _, err := io.WriteString(c, "GET "+tt.target+" HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n"+tt.fields+"\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Peek(1); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if tt.target == "/page" {
			answered <- struct{}{}
		}
		rest, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %v after %.300q", tt.name, err, rest)
		}
		head, body, _ := strings.Cut(string(rest), "\r\n\r\n")
		if !strings.HasPrefix(head, "HTTP/1.1 200 OK") || strings.Contains(head, "Transfer-Encoding") || strings.Contains(head, "Content-Length") ||
			!strings.Contains(head, "Connection: close") || strings.Count(head, "Content-Type") != 1 || body != strings.Repeat("x", size) {
			t.Errorf("%s: %s\n%d bytes", tt.name, head, len(body))
		}
	}
	if answer := g.raw("HEAD /page HTTP/1.0\r\nHost: x\r\n\r\n"); !strings.HasSuffix(answer, "\r\n\r\n") {
		t.Errorf("HEAD: %q", answer)
	}
}
