package edge

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"pagegate/internal/origin"
)

// A page whose backend gives it no entity tag has a strong one, made from its body (RFC 9110, section 8.8.3): clients can
// ask by it, and the backend, which does not know it, is never asked.
func TestEntityTagOfTheBody(t *testing.T) {
	var mu sync.Mutex
	var conditions []string
	s := &site{fallback: func(r *origin.Request) (*origin.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		conditions = append(conditions, r.Header.Get("If-None-Match"))
		fields := []string{"Cache-Control", "max-age=60"}
		if r.Target == "/tagged" {
			fields = append(fields, "Etag", `"theirs"`)
		}
		return reply(200, html, "body of "+strings.TrimSuffix(r.Target, "?again"), fields...), nil
	}}
	e := newEdge(t, s)
	c := serve(t, e)()
	a := hit(t, c, request("GET", "/page"))
	etag := a.header.Get("Etag")
	if !strings.HasPrefix(etag, `"`) || len(etag) < 18 {
		t.Fatalf("the entity tag is %q", etag)
	}
	if again := hit(t, c, request("GET", "/page?again")).header.Get("Etag"); again != etag {
		t.Errorf("the same body has the tags %s and %s", etag, again)
	}
	if other := hit(t, c, request("GET", "/other")).header.Get("Etag"); other == etag {
		t.Errorf("another body has the same tag")
	}
	if got := hit(t, c, request("GET", "/tagged")).header.Get("Etag"); got != `"theirs"` {
		t.Errorf("the backend's tag became %s", got)
	}
	if a := hit(t, c, request("GET", "/page", "If-None-Match", etag)); a.status != http.StatusNotModified || a.header.Get("Etag") != etag {
		t.Errorf("asked by the tag: %+v", a)
	}
	if a := hit(t, c, request("GET", "/page", "Range", "bytes=0-3", "If-Range", etag)); a.status != http.StatusPartialContent || a.body != "body" {
		t.Errorf("a part of the page with that tag: %+v", a)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, c := range conditions {
		if c != "" {
			t.Errorf("the backend was asked by %s", c)
		}
	}
}
