package flow

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"

	"pagegate/internal/admin"
)

// purgeCommand is `filler purge` and `gateway purge`: it has the program that serves on an admin listener purge pages,
// for whoever deploys.
func purgeCommand(ctx context.Context, c *command) error {
	addr := c.String("admin", "127.0.0.1:9090", "the admin listener of the running program: host:port or unix:/path")
	form := url.Values{}
	lists := map[string]*[]string{}
	for _, f := range [][2]string{
		{"url", "a page by its URL or target, with all variants"},
		{"key", "a page by its page key"},
		{"prefix", "all pages whose key begins so: /shop/"},
		{"match", "all pages whose key matches; * stands for anything: '/shop/*?page=*', '*'"},
		{"tag", "all pages that the backend gave that tag (Surrogate-Key, Cache-Tag)"},
	} {
		lists[f[0]] = c.StringArray(f[0], nil, f[1]+"; may be given again")
	}
	soft := c.Bool("soft", false, "make the pages stale instead of removing them")
	timeout := c.Duration("timeout", time.Minute, "how long to wait for the answer")
	if err := c.parse(fmt.Sprintf("Purge pages of a running %s.", c.program), ""); err != nil {
		return err
	}
	for field, values := range lists {
		for _, v := range *values {
			form.Add(field, v)
		}
	}
	if *soft {
		form.Set("soft", "1")
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	n, err := postPurge(ctx, *addr, form)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%d %s purged\n", n, english.PluralWord(n, "page", ""))
	return nil
}

// postPurge asks the admin listener at addr.
func postPurge(ctx context.Context, addr string, form url.Values) (int, error) {
	client := adminClient(addr)
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin/purge", strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("no answer from %s (does the program run with --admin %s?): %w", addr, addr, err)
	}
	defer resp.Body.Close()
	var result admin.PurgeResult
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&result); err != nil {
		return 0, fmt.Errorf("%s answered %s, which is no answer to a purge: %w", addr, resp.Status, err)
	}
	if resp.StatusCode != http.StatusOK {
		return result.Purged, fmt.Errorf("%s: %s", resp.Status, result.Error)
	}
	return result.Purged, nil
}
