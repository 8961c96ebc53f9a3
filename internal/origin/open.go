package origin

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/rs/zerolog"

	"pagegate/internal/origin/demo"
	"pagegate/internal/origin/files"
)

// Options are the bounds and helpers of an Origin. The zero value is ready for use: a field that is zero has the
// default that it names. No field may be negative.
type Options struct {
	// ConnectTimeout bounds making a connection, name look-up and TLS included; default 2 s, so that a dead backend is
	// known to be dead soon.
	ConnectTimeout time.Duration
	// HeaderTimeout bounds the wait for the response's head, counted from the end of the request; default 30 s.
	HeaderTimeout time.Duration
	// IdleTimeout bounds each wait for more of a body, in either direction; default 30 s. A body that flows may take
	// as long as it likes.
	IdleTimeout time.Duration
	// KeepIdle is how long an unused connection is kept; default 30 s. Their number needs no bound of its own: there are no
	// more than exchanges were under way at once within that time, which is the callers' to bound. A backend that closes
	// earlier costs nothing.
	KeepIdle time.Duration
	// TLS is used for https; nil for the system's roots. The server's name is the backend URL's.
	TLS *tls.Config
	// DemoDelay is how long the demo site's slow pages take; default 200 ms.
	DemoDelay time.Duration
	// Now is the clock of what is rendered in this process; nil for time.Now.
	Now func() time.Time
	// Log gets the faults of in-process backends, whose clients see no more than "500"; the zero value drops them.
	Log zerolog.Logger
}

// withDefaults fills in what is zero.
func (o Options) withDefaults() (Options, error) {
	if min(o.ConnectTimeout, o.HeaderTimeout, o.IdleTimeout, o.KeepIdle, o.DemoDelay) < 0 {
		return o, errors.New("origin: a negative bound")
	}
	setDefault(&o.ConnectTimeout, 2*time.Second)
	setDefault(&o.HeaderTimeout, 30*time.Second)
	setDefault(&o.IdleTimeout, 30*time.Second)
	setDefault(&o.KeepIdle, 30*time.Second)
	setDefault(&o.DemoDelay, demo.DefaultDelay)
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, nil
}

func setDefault(v *time.Duration, to time.Duration) {
	if *v == 0 {
		*v = to
	}
}

// bounds are what every backend has: a name for messages, and how long is waited for it.
type bounds struct {
	name         string
	header, idle time.Duration
}

// Open makes the Origin of a backend URL:
//
//	http://host:port, https://host:port   an HTTP server
//	http+unix:///path.sock                an HTTP server on a unix socket
//	file:///dir                           files and templates of a directory (package files)
//	demo:                                 the built-in site (package demo)
//
// Nothing is connected to yet: a backend may start later than the cache before it. A directory must be there.
func Open(rawURL string, o Options) (Origin, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	u, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	b := bounds{name: rawURL, header: o.HeaderTimeout, idle: o.IdleTimeout}
	switch u.Scheme {
	case "http", "https":
		return newHTTPOrigin(b, u.Scheme, u.Host, dialer{network: "tcp", addr: hostPort(u), name: u.Hostname()}, o), nil
	case "http+unix":
		return newHTTPOrigin(b, "http", "localhost", dialer{network: "unix", addr: u.Path}, o), nil
	case "file":
		h, err := files.Open(u.Path, files.Options{Now: o.Now, Log: o.Log})
		if err != nil {
			return nil, fmt.Errorf("backend %q: %w", rawURL, err)
		}
		return newHandlerOrigin(b, h, o), nil
	default:
		return newHandlerOrigin(b, demo.Handler(demo.Options{Delay: o.DemoDelay, Now: o.Now}), o), nil
	}
}

// Check tells what is wrong with a backend's URL, without opening it.
func Check(rawURL string) error {
	_, err := parse(rawURL)
	return err
}

// parse reads a backend's URL. Its errors name the backend, without a password.
func parse(rawURL string) (*url.URL, error) {
	if rawURL == "" {
		return nil, errors.New("no backend given; " + forms)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("backend %q is no URL: %s", rawURL, forms)
	}
	if err := check(u); err != nil {
		return nil, fmt.Errorf("backend %q: %w", u.Redacted(), err)
	}
	return u, nil
}

const forms = "want demo:, http://host:port, https://host:port, http+unix:///path.sock or file:///dir"

// check tells what is wrong with a backend's URL.
func check(u *url.URL) error {
	switch {
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("a backend has neither query nor fragment; the request's own is sent to it")
	case u.User != nil:
		return errors.New("a backend's URL holds no user or password; they are the clients'")
	}
	switch u.Scheme {
	case "http", "https":
		if u.Hostname() == "" {
			return errors.New("no host; " + forms)
		}
		if u.Path != "" && u.Path != "/" {
			return errors.New("a backend has no path; the request's own is sent to it")
		}
	case "http+unix", "file":
		if u.Host != "" || len(u.Path) < 2 && u.Scheme == "http+unix" || u.Path == "" {
			return errors.New("want three slashes and an absolute path; " + forms)
		}
	case "demo":
		if u.Opaque != "" || u.Host != "" || u.Path != "" {
			return errors.New("nothing follows \"demo:\"")
		}
	default:
		return errors.New(forms)
	}
	return nil
}

// hostPort returns the address to dial.
func hostPort(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}
