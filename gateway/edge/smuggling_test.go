package edge

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"pagegate/internal/door"
	"pagegate/internal/door/doortest"
	"pagegate/internal/origin"
)

// Requests whose end two readers could see at different places are refused, and the connection with them, before
// anything of them reaches the backend (RFC 9112, sections 2.2, 5.1, 5.2, 6.1 and 6.3): by the event loops, which see them
// first or behind hits, whole or in pieces, and by the server alone, which the filler has.
func TestSmugglingIsRefused(t *testing.T) {
	const page = "GET /hit HTTP/1.1\r\n" + doortest.Host + "\r\n"
	for how, send := range map[string]doortest.Sender{
		"alone": doortest.Whole,
		"behind a hit": func(c net.Conn, attack string) error {
			ask(t, c, page)
			return doortest.Whole(c, attack)
		},
		"in one piece with hits": func(c net.Conn, attack string) error { return doortest.Whole(c, page+page+attack) },
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
					"/hit": fixed(200, html, doortest.Hit, "Cache-Control", "max-age=600"),
				}}
				s.fallback = func(r *origin.Request) (*origin.Response, error) {
					if r.Body != nil {
						if _, err := io.Copy(io.Discard, r.Body); err != nil {
							return nil, &origin.Error{Kind: origin.KindRequest, Err: err}
						}
					}
					return reply(200, "text/plain", doortest.Reached), nil
				}
				dial := serve(t, newEdge(t, s))
				hit(t, dial(), page)
				for name := range doortest.Smuggling {
					lineAlone := strings.HasPrefix(name, "bare LF of") // which is not seen in pieces
					if lineAlone && (how == "byte by byte" || how == "in one piece with hits") {
						continue
					}
					doortest.Refused(t, name, dial(), send)
				}
			})
		}
	}
}

// serveAlone is serve without event loops.
func serveAlone(t testing.TB, e *Edge) func() net.Conn {
	t.Helper()
	l := listenAnywhere(t)
	server := door.NewServer(e.Handle, zerolog.Nop())
	return serveBy(t, l, func() error { return server.Serve(l) }, server.ShutdownWithContext)
}
