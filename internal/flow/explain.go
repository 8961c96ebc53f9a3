package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// explainCommand is `filler explain URL` and `gateway explain URL`.
func explainCommand(ctx context.Context, c *command) error {
	addr := c.String("admin", "127.0.0.1:9090", "the admin listener of the running program: host:port or unix:/path")
	headers := c.StringArray("header", nil, "a request field, 'Cookie: a=b'; may be given again")
	about := fmt.Sprintf("Say what a running %s would answer, what it has stored of the page, or why nothing.", c.program)
	if err := c.parse(about, "URL"); err != nil {
		return err
	}
	if c.NArg() != 1 {
		return usageError{errors.New("want one URL (http://host/path?query) or target (/path?query)")}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return getExplanation(ctx, *addr, url.Values{"url": {c.Arg(0)}, "header": *headers}, c.stdout)
}

func getExplanation(ctx context.Context, addr string, about url.Values, w io.Writer) error {
	client := adminClient(addr)
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin/explain?"+about.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no answer from %s (does the program run with --admin %s?): %w", addr, addr, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(text)))
	}
	if err == nil {
		_, err = w.Write(text)
	}
	return err
}

// adminClient makes a client of the admin listener at addr, whatever host its requests name.
func adminClient(addr string) *http.Client {
	network, target := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, target = "unix", path
	}
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, target)
	}}}
}
