package flow

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// healthAgent is the User-Agent of a health check, so that a log can leave it out.
const healthAgent = "pagegate-health"

// healthCommand is `filler health` and `gateway health`: it asks whether a program serves, for a container without a shell
// whose engine runs a command now and then.
func healthCommand(ctx context.Context, c *command) error {
	addr := c.String("admin", "127.0.0.1:9090", "where to ask: host:port or unix:/path; the admin listener of the running program, or any HTTP server")
	path := c.String("path", "/readyz", "what to ask for; an answer with a status of 2xx is a good one")
	timeout := c.Duration("timeout", 5*time.Second, "how long to wait for the answer")
	if err := c.parse(fmt.Sprintf("Exit with 0 if a running %s is ready, with 1 if not.", c.program), ""); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	return getHealth(ctx, *addr, *path, c.stdout)
}

// getHealth asks the server at addr, and writes what it says of itself if that is good.
func getHealth(ctx context.Context, addr, path string, w io.Writer) error {
	client := adminClient(addr)
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", healthAgent)
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no answer from %s: %w", addr, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s answered %s: %.200s", addr, resp.Status, text)
	}
	_, err = fmt.Fprintf(w, "%.200s", text)
	return err
}
