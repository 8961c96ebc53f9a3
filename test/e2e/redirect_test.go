package e2e

import (
	"net"
	"net/http"
	"testing"

	"pagegate/internal/realproc"
)

// A backend that redirects to itself by the name that it was asked by, or by its own address, sends visitors to places that
// they can reach, be the redirect a fill's or a pass's, kept or not.
func TestRedirectsStayOnTheSite(t *testing.T) {
	redirects := func(own func() string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://"+own()+"/moved"+r.RequestURI)
			w.Header().Set("Content-Location", "http://"+own()+"/as")
			w.Header().Set("Refresh", "1; url=http://"+own()+"/soon")
			w.Header().Set("Cache-Control", "max-age=60")
			w.WriteHeader(http.StatusMovedPermanently)
		}
	}
	check := func(t *testing.T, door string) {
		t.Helper()
		for _, a := range []answer{
			fetch(t, door, "/a?b"), fetchHit(t, door, "/a?b"), fetch(t, door, "/a?b", "Cookie", "sid=1"),
		} {
			for name, want := range map[string]string{"Location": "/moved/a?b", "Content-Location": "/as", "Refresh": "1; url=/soon"} {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s: %q, want %q (%s)", name, got, want, a.header.Get("Cache-Status"))
				}
			}
		}
	}
	for _, l := range layouts {
		t.Run(l.name, func(t *testing.T) {
			var b *backend
			b = newBackend(t, redirects(func() string { return b.Listener.Addr().String() }))
			for _, door := range l.open(t, b.URL) {
				check(t, door)
			}
		})
	}
	t.Run("gateway, a backend on a unix socket", func(t *testing.T) {
		path := realproc.SocketPath(t, "backend")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: redirects(func() string { return "localhost" })}
		go server.Serve(l)
		t.Cleanup(func() { server.Close() })
		gateway, _ := startGateway(t, "http+unix://"+path)
		check(t, gateway)
	})
}
