package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/pflag"

	"pagegate/internal/config"
)

// healthAgent is the User-Agent of a health check, so that a log can leave it out.
const healthAgent = "pagegate-health"

// healthCommand is `filler health` and `gateway health`: it asks whether a program serves, for a container without a shell
// whose engine runs a command now and then.
func healthCommand(ctx context.Context, name config.Program, args []string, stdout, stderr io.Writer) int {
	fs := pflag.NewFlagSet(string(name)+" health", pflag.ContinueOnError)
	fs.SortFlags = false
	fs.Usage = func() {}
	addr := fs.String("admin", "127.0.0.1:9090", "where to ask: host:port or unix:/path; the admin listener of the running program, or any HTTP server")
	path := fs.String("path", "/readyz", "what to ask for; an answer with a status of 2xx is a good one")
	timeout := fs.Duration("timeout", 5*time.Second, "how long to wait for the answer")
	switch err := fs.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprintf(stdout, "Exit with 0 if a running %[1]s is ready, with 1 if not.\n\nUsage: %[1]s health [flags]\n\n%[2]s", name, fs.FlagUsagesWrapped(100))
		return exitOK
	case err != nil || fs.NArg() > 0:
		if err == nil {
			err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
		}
		fmt.Fprintf(stderr, "%s health: %v; %s health --help lists the flags\n", name, err, name)
		return exitUsage
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	if err := getHealth(ctx, *addr, *path, stdout); err != nil {
		fmt.Fprintf(stderr, "%s health: %v\n", name, err)
		return exitFailed
	}
	return exitOK
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
