package main

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
)

// An HTTP/1.0 client, an nginx with its default settings say, is never sent chunks (RFC 9112, section 6.1): a body whose length
// is not known ends with the connection, whether it is fetched, passed on or unpacked, and whatever the client asked for.
func TestNoChunksForHTTP10(t *testing.T) {
	const size, keepAlive = 300_000, "Connection: keep-alive\r\n"
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(strings.Repeat("x", size)))
	z.Close()
	g := runGateway(t, "", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path == "/packed" {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed.Bytes())
			return
		}
		for range 3 {
			_, _ = w.Write(bytes.Repeat([]byte("x"), size/3))
			w.(http.Flusher).Flush()
		}
	})
	for _, tt := range []struct{ name, target, fields string }{
		{"a miss", "/page", ""}, // whose length is known if the backend has sent all by the time of the answer
		{"a pass", "/page", "Cookie: sid=1\r\n"},
		{"a page that is unpacked on its way", "/packed", keepAlive},
		{"a kept page that is unpacked", "/packed", keepAlive},
	} {
		if tt.name == "a kept page that is unpacked" && !g.hits(tt.target, "Accept-Encoding", "gzip") {
			t.Error("not kept")
		}
		answer := g.raw("GET " + tt.target + " HTTP/1.0\r\nHost: x\r\n" + tt.fields + "\r\n")
		head, body, _ := strings.Cut(answer, "\r\n\r\n")
		if !strings.HasPrefix(head, "HTTP/1.1 200 OK") || strings.Contains(head, "Transfer-Encoding") || tt.fields == keepAlive && strings.Contains(head, "Content-Length") ||
			!strings.Contains(head, "Connection: close") || strings.Count(head, "Content-Type") != 1 || body != strings.Repeat("x", size) {
			t.Errorf("%s: %s\n%d bytes", tt.name, head, len(body))
		}
	}
	if answer := g.raw("HEAD /page HTTP/1.0\r\nHost: x\r\n\r\n"); !strings.HasSuffix(answer, "\r\n\r\n") {
		t.Errorf("HEAD: %q", answer)
	}
}
