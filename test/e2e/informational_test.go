package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Interim responses reach the client before the final one, which is cached without them.
func TestInformationalResponses(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload; as=style")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		w.Header().Del("Link")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "max-age=600")
		_, _ = w.Write([]byte("page"))
	})
	gateway, _ := startGateway(t, b.URL)
	cache, _ := startCache(t, "cacheserver")
	filler, _ := startFiller(t, b.URL, cache)
	if a := fetch(t, startNginx(t, cache, filler), "/a"); a.status != 200 || a.body != "page" { // nginx knows no interim responses
		t.Errorf("through nginx: %+v", a)
	}
	const get = "GET /a HTTP/1.1\r\nHost: x\r\n"
	first := raw(t, gateway, get+"Connection: close\r\n\r\n", 5*time.Second)
	hints, rest, _ := strings.Cut(first, "\r\n\r\n")
	processing, final, _ := strings.Cut(rest, "\r\n\r\n")
	if !strings.HasPrefix(hints, "HTTP/1.1 103 Early Hints\r\n") || !strings.Contains(hints, "Link: </style.css>; rel=preload") ||
		!strings.HasPrefix(processing, "HTTP/1.1 102 Processing") || !strings.HasPrefix(final, "HTTP/1.1 200 OK") {
		t.Errorf("answered %q", first)
	}
	fetchHit(t, gateway, "/a")
	if second := raw(t, gateway, get+"Connection: close\r\n\r\n", 5*time.Second); !strings.HasPrefix(second, "HTTP/1.1 200 OK") {
		t.Errorf("a hit is answered %q", second)
	}
	// Answers are never overtaken: those that the server still has are followed by the final one at once ...
	const closing = "Host: x\r\nConnection: close\r\n\r\n"
	pipelined := raw(t, gateway, "GET /b HTTP/1.1\r\nHost: x\r\n\r\nGET /c HTTP/1.1\r\n"+closing, 5*time.Second)
	if strings.Contains(pipelined, "HTTP/1.1 1") || strings.Count(pipelined, "HTTP/1.1 200 OK") != 2 {
		t.Errorf("pipelined requests are answered %q", pipelined)
	}
	// ... and one that has been sent is not.
	pipelined = raw(t, gateway, get+"\r\nGET /d HTTP/1.1\r\n"+closing, 5*time.Second)
	if hit, rest, _ := strings.Cut(pipelined, "\r\n\r\npage"); !strings.HasPrefix(hit, "HTTP/1.1 200 OK") || !strings.HasPrefix(rest, "HTTP/1.1 103 ") {
		t.Errorf("a hit and a miss behind it are answered %q", pipelined)
	}
}
