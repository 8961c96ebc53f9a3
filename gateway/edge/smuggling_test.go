package edge

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"pagegate/internal/door"
	"pagegate/internal/origin"
)

const host = "Host: client.example\r\n"

// smuggling are requests whose end two readers could see at different places.
var smuggling = map[string]string{
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
	"bare LF of the request line":  "GET /a HTTP/1.1\n" + host + "\r\n",
	"bare LF of a POST's line":     "POST /a HTTP/1.1\n" + host + "Content-Length: 4\r\n\r\nabcd",
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
}

// Requests whose end two readers could see at different places are refused, and the connection with them, before
// anything of them reaches the backend (RFC 9112, sections 2.2, 5.1, 5.2, 6.1 and 6.3): by the event loops, which see them
// first or behind hits, whole or in pieces, and by the server alone, which the filler has.
func TestSmugglingIsRefused(t *testing.T) {
	const page = "GET /hit HTTP/1.1\r\n" + host + "\r\n"
	for how, send := range map[string]func(c net.Conn, attack string) error{
		"alone": func(c net.Conn, attack string) error {
			_, err := io.WriteString(c, attack)
			return err
		},
		"behind a hit": func(c net.Conn, attack string) error {
			ask(t, c, page)
			_, err := io.WriteString(c, attack)
			return err
		},
		"in one piece with hits": func(c net.Conn, attack string) error {
			_, err := io.WriteString(c, page+page+attack)
			return err
		},
		"byte by byte": func(c net.Conn, attack string) error {
			for i := range len(attack) {
				if _, err := io.WriteString(c, attack[i:i+1]); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		for door, serve := range map[string]func(testing.TB, *Edge) func() net.Conn{"loop": serve, "server": serveAlone} {
			t.Run(door+", "+how, func(t *testing.T) {
				s := &site{pages: map[string]func(*origin.Request) (*origin.Response, error){
					"/hit": fixed(200, html, "hit", "Cache-Control", "max-age=600"),
				}}
				s.fallback = func(r *origin.Request) (*origin.Response, error) {
					if r.Body != nil {
						if _, err := io.Copy(io.Discard, r.Body); err != nil {
							return nil, &origin.Error{Kind: origin.KindRequest, Err: err}
						}
					}
					return reply(200, "text/plain", "reached"), nil
				}
				dial := serve(t, newEdge(t, s))
				hit(t, dial(), page)
				for name, attack := range smuggling {
					lineAlone := strings.HasPrefix(name, "bare LF of") // which is not seen in pieces
					if lineAlone && (how == "byte by byte" || how == "in one piece with hits") {
						continue
					}
					refused(t, name, dial(), attack, send)
				}
			})
		}
	}
}

// refused sends an attack, with a request behind it that nobody may take for one, and looks at what comes.
func refused(t *testing.T, name string, c net.Conn, attack string, send func(net.Conn, string) error) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if err := send(c, attack+"GET /smuggled HTTP/1.1\r\n"+host+"\r\n"); err != nil {
		t.Logf("%s: the connection was closed while writing: %v", name, err)
	}
	all, err := io.ReadAll(c)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("%s: the connection stays open: %v", name, err)
	}
	text := string(all)
	for strings.HasPrefix(text, "HTTP/1.1 200 ") && strings.Contains(text, "\r\n\r\nhit") { // the hits before it
		_, text, _ = strings.Cut(text, "\r\n\r\nhit")
	}
	if text == "" && err != nil {
		return // reset before the answer could be read
	}
	if !strings.HasPrefix(text, "HTTP/1.1 400 ") && !strings.HasPrefix(text, "HTTP/1.1 505 ") && !strings.HasPrefix(text, "HTTP/1.1 501 ") {
		t.Errorf("%s: answered %q", name, text)
	}
	if strings.Count(text, "HTTP/1.1 ") > 1 || strings.Contains(text, "reached") {
		t.Errorf("%s: what followed was taken for a request: %q", name, text)
	}
}

// serveAlone is serve without event loops.
func serveAlone(t testing.TB, e *Edge) func() net.Conn {
	t.Helper()
	l := listenAnywhere(t)
	server := door.NewServer(e.Handle, zerolog.Nop())
	return serveBy(t, l, func() error { return server.Serve(l) }, server.ShutdownWithContext)
}
