package door

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fasthttp"
	"pgregory.net/rapid"

	"pagegate/internal/page"
	"pagegate/internal/policy"
)

// Both writers of hits make the same answer of a page, whatever the page and the request.
func TestHeadsAreAlike(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	field := rapid.SampledFrom([]string{
		"Date: Thu, 01 Jan 2026 00:00:00 GMT", `Etag: "1"`, `Etag: W/"2"`, "Vary: Accept-Encoding", "Vary: accept-encoding, Foo", "Vary: Foo",
		"Cache-Tag: a, b", "Surrogate-Key: a", "Cache-Control: max-age=60", "Server: x", "X-A: 1", "X-A: 2", "Link: </a>; rel=x", "Set-Cookie: a=b",
		"Content-Language: de", "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT", "Expires: 0", "Connection-Info: x", "D: e",
	})
	sent := rapid.SampledFrom([]string{
		"Accept-Encoding: gzip", "Accept-Encoding: br, zstd;q=0.5", "If-None-Match: \"1\"", "If-None-Match: \"3\"", "Range: bytes=0-3", "Range: bytes=900000-",
		"If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT", "If-Range: \"1\"", "Cookie: _ga=1", "Range: bytes=0-1,3-4",
	})
	rapid.Check(t, func(t *rapid.T) {
		var header strings.Builder
		header.WriteString("Content-Type: text/html\r\n")
		for _, f := range rapid.SliceOfDistinct(field, func(f string) string { return strings.SplitN(f, " ", 2)[0] }).Draw(t, "fields") {
			header.WriteString(f + "\r\n")
		}
		body := bytes.Repeat([]byte("x"), rapid.SampledFrom([]int{0, 1, 600, 20000}).Draw(t, "length"))
		p := &page.Page{
			Status: rapid.SampledFrom([]int{200, 200, 200, 404, 204, 301}).Draw(t, "status"), Header: []byte(header.String()), Body: body,
			StoredAt: now.Add(-time.Minute), FreshUntil: now.Add(time.Minute), BodyOnly: rapid.Bool().Draw(t, "body only"),
		}
		if rapid.Bool().Draw(t, "codable") && p.Status == 200 {
			p.MayCode()
			if rapid.Bool().Draw(t, "coded") {
				p.Encode([]page.Coding{page.Brotli, page.Gzip})
			}
		}
		request := rapid.SampledFrom([]string{"GET", "HEAD"}).Draw(t, "method") + " /a HTTP/1.1\r\nHost: h\r\n"
		for _, f := range rapid.SliceOfDistinct(sent, func(f string) string { return strings.SplitN(f, ":", 2)[0] }).Draw(t, "sent") {
			request += f + "\r\n"
		}
		newCtx := func() (*fasthttp.RequestCtx, *Visit) {
			ctx, v := new(fasthttp.RequestCtx), &Visit{Policy: &policy.Policy{}}
			if err := ctx.Request.Header.Read(bufio.NewReader(strings.NewReader(request + "\r\n"))); err != nil {
				t.Fatal(err)
			}
			v.fields.read(&ctx.Request.Header)
			return ctx, v
		}
		ctx, v := newCtx()
		ctx.Response.Header.SetNoDefaultContentType(true)
		WritePage(ctx, v, p, now)
		want := describeAnswer(t, request, appendResponse(nil, &ctx.Response, len(ctx.Response.Body())), ctx.Response.Body())

		ctx, v = newCtx()
		head, lent, ok := AppendHit([]byte("before"), ctx, v, p, now)
		if !ok || !bytes.HasPrefix(head, []byte("before")) {
			t.Fatalf("not answered: %q", head)
		}
		got := describeAnswer(t, request, head[len("before"):], lent)
		// Parts of several ranges are parted by random text.
		if strings.Contains(want, "multipart/byteranges") && strings.Contains(got, "multipart/byteranges") {
			return
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// describeAnswer reads an answer as a client does.
func describeAnswer(t *rapid.T, request string, head, body []byte) string {
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader(head), bytes.NewReader(body))), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", head, err)
	}
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%q: %v", head, err)
	}
	return fmt.Sprintf("%s %d %v %d", resp.Status, resp.ContentLength, resp.Header, len(content))
}
