package edge

import (
	"io"
	"strings"
	"testing"
	"time"

	"pagegate/internal/origin"
)

// Requests whose end two readers could see at different places are refused, and the connection with them, before
// anything of them reaches the backend (RFC 9112, sections 2.2, 5.1, 5.2, 6.1 and 6.3).
func TestSmugglingIsRefused(t *testing.T) {
	const host = "Host: client.example\r\n"
	for name, head := range map[string]string{
		"CL.TE":                        "POST /a HTTP/1.1\r\n" + host + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"TE.CL":                        "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
		"two lengths that differ":      "POST /a HTTP/1.1\r\n" + host + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
		"a list of lengths":            "POST /a HTTP/1.1\r\n" + host + "Content-Length: 4, 5\r\n\r\nabcde",
		"a signed length":              "POST /a HTTP/1.1\r\n" + host + "Content-Length: +4\r\n\r\nabcd",
		"a negative length":            "POST /a HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n",
		"a hexadecimal length":         "POST /a HTTP/1.1\r\n" + host + "Content-Length: 0x4\r\n\r\nabcd",
		"an empty length":              "POST /a HTTP/1.1\r\n" + host + "Content-Length: \r\n\r\n",
		"a huge length":                "POST /a HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n",
		"obs-fold":                     "GET /a HTTP/1.1\r\n" + host + "X-A: 1\r\n 2\r\n\r\n",
		"a folded length":              "POST /a HTTP/1.1\r\n" + host + "Content-Length:\r\n 4\r\n\r\nabcd",
		"white space before the colon": "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		"white space before a name":    "GET /a HTTP/1.1\r\n " + host + "\r\n",
		"bare LF in the head":          "GET /a HTTP/1.1\nHost: client.example\n\n",
		"bare LF at the head's end":    "GET /a HTTP/1.1\r\n" + host + "\n",
		"bare LF between fields":       "GET /a HTTP/1.1\r\nX-A: 1\n" + host + "\r\n",
		"bare CR in a value":           "GET /a HTTP/1.1\r\n" + host + "X-A: 1\rX-B: 2\r\n\r\n",
		"NUL in a value":               "GET /a HTTP/1.1\r\n" + host + "X-A: 1\x002\r\n\r\n",
		"a field without a colon":      "GET /a HTTP/1.1\r\n" + host + "Nonsense\r\n\r\n",
		"a field without a name":       "GET /a HTTP/1.1\r\n" + host + ": x\r\n\r\n",
		"a name that is no token":      "GET /a HTTP/1.1\r\n" + host + "X(A): x\r\n\r\n",
		"an unknown coding":            "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"chunked not last":             "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		"chunked twice":                "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a coding in HTTP/1.0":         "POST /a HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a coding with a tab":          "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
		"a chunk size that is none":    "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
		"a chunk size with a sign":     "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n",
		"a chunk longer than its size": "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
		"a chunk size ended by LF":     "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
		"a chunk extension with LF":    "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n0\r\n\r\n",
		"a huge chunk":                 "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
		"two hosts":                    "GET /a HTTP/1.1\r\n" + host + "Host: other.example\r\n\r\n",
		"no host":                      "GET /a HTTP/1.1\r\n\r\n",
		"a host with a path":           "GET /a HTTP/1.1\r\nHost: client.example/evil\r\n\r\n",
		"a target with a space":        "GET /a b HTTP/1.1\r\n" + host + "\r\n",
		"a target with a tab":          "GET /a\tb HTTP/1.1\r\n" + host + "\r\n",
		"an unknown version":           "GET /a HTTP/9.9\r\n" + host + "\r\n",
		"a method that is no token":    "G(T /a HTTP/1.1\r\n" + host + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{pages: map[string]func(*origin.Request) (*origin.Response, error){}}
			s.fallback = func(r *origin.Request) (*origin.Response, error) {
				if r.Body != nil {
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						return nil, &origin.Error{Kind: origin.KindRequest, Err: err}
					}
				}
				return reply(200, "text/plain", "reached"), nil
			}
			c := serve(t, newEdge(t, s))()
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			if _, err := io.WriteString(c, head+"GET /smuggled HTTP/1.1\r\n"+host+"\r\n"); err != nil {
				t.Logf("the connection was closed while writing: %v", err)
			}
			all, err := io.ReadAll(c)
			if err != nil {
				t.Errorf("the connection stays open: %v", err)
			}
			text := string(all)
			if !strings.HasPrefix(text, "HTTP/1.1 400 ") && !strings.HasPrefix(text, "HTTP/1.1 505 ") && !strings.HasPrefix(text, "HTTP/1.1 501 ") {
				t.Errorf("answered %q", text)
			}
			if strings.Count(text, "HTTP/1.1 ") > 1 || strings.Contains(text, "reached") {
				t.Errorf("what followed was taken for a request: %q", text)
			}
		})
	}
}
