package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"pagegate/internal/warm"
)

// warmCommand is `filler warm` and `gateway warm`: it asks for a site's pages, so that they are in the cache when visitors
// come, after a deploy or a purge say.
func warmCommand(ctx context.Context, c *command) error {
	o, err := parseWarm(c)
	if err != nil {
		return err
	}
	w := warm.New(o)
	defer w.Close()
	pages, err := w.Collect(ctx, c.Args(), os.Stdin)
	if err != nil {
		return err
	}
	if pages.Foreign > 0 {
		fmt.Fprintf(c.stderr, "%s: left out %d %s of other hosts (%s); --site names a host that is to be asked too\n",
			c.Name(), pages.Foreign, english.PluralWord(pages.Foreign, "URL", ""), pages.OneOf)
	}
	done, finish := progress(c.stderr, len(pages.URLs))
	result := w.Run(ctx, pages.URLs, done)
	finish()
	left := len(pages.URLs) - result.Pages()
	for _, f := range pages.Broken {
		result.Fail(f)
	}
	tellFailures(c.stderr, result)
	fmt.Fprint(c.stdout, result)
	switch {
	case left > 0:
		return fmt.Errorf("interrupted before %d %s had been asked for", left, english.PluralWord(left, "page", ""))
	case !result.OK():
		return errors.New("not all pages could be had")
	}
	return nil
}

// parseWarm reads the command line, whose arguments are the sources.
func parseWarm(c *command) (o warm.Options, err error) {
	sites := c.StringArray("site", nil, "the site: http://www.example.com. Targets (/path) in a list are its, and no other host is asked for anything; may be given again for further hosts (default: the sitemaps' own)")
	c.StringVar(&o.Connect, "connect", "", "connect there whatever host the URLs name, by plain HTTP: the program's own listener, host:port or unix:/path")
	c.Float64Var(&o.Rate, "rate", 20, "requests a second at most; 0 for as many as go")
	c.IntVar(&o.Concurrency, "concurrency", 4, "requests at once")
	c.DurationVar(&o.Timeout, "timeout", 30*time.Second, "how long each page may take")
	c.IntVar(&o.Max, "max", 100_000, "pages at most; more are refused")
	headers := c.StringArray("header", nil, "a field that every request carries, 'User-Agent: ... Mobile' for the pages of a class of devices; may be given again")
	if err := c.parse(warmAbout, "SOURCE..."); err != nil {
		return o, err
	}
	o.Header, err = requestFields(*headers)
	switch {
	case err != nil:
	case c.NArg() == 0:
		err = errors.New("want a sitemap or a list: a URL, a file, or - for standard input")
	case o.Concurrency < 1 || o.Rate < 0 || o.Timeout <= 0 || o.Max < 1:
		err = errors.New("concurrency, timeout and max must be above 0, and rate not below")
	default:
		o.Sites, err = parseSites(*sites, c.Args())
	}
	if err != nil {
		return o, usageError{err}
	}
	return o, nil
}

// warmAbout begins the help.
const warmAbout = `Ask for the pages that a sitemap or a list names, so that they are in the cache, and say what became of them.

A SOURCE is the URL of a sitemap, a file, or - for standard input: a sitemap, an index of sitemaps, or a list with
one URL or target a line, plain or packed with gzip. The exit code is 1 if a page could not be had.`

// parseSites reads the addresses of a site; the hosts of sitemaps are its too.
func parseSites(named, sources []string) (sites []*url.URL, err error) {
	for _, source := range sources {
		if warm.IsURL(source) {
			named = append(named, source)
		}
	}
	for _, text := range named {
		u, err := url.Parse(text)
		if err != nil || !warm.IsURL(text) || u.Host == "" {
			return nil, fmt.Errorf("%q is no address of a site: want http://host or https://host", text)
		}
		sites = append(sites, u)
	}
	if len(sites) == 0 {
		return nil, errors.New("a list needs --site: which host may be asked")
	}
	return sites, nil
}

// requestFields reads lines of the form 'Name: value'.
func requestFields(lines []string) (http.Header, error) {
	h := make(http.Header)
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("%q is no field: want 'Name: value'", line)
		}
		h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return h, nil
}

// progress shows a bar of n steps on a terminal; elsewhere it shows nothing.
func progress(w io.Writer, n int) (step, finish func()) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func() {}, func() {}
	}
	bar := progressbar.NewOptions(n, progressbar.OptionSetWriter(f), progressbar.OptionSetDescription("warming"),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("pages"),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish())
	_ = bar.RenderBlank()
	return func() { _ = bar.Add(1) }, func() { _ = bar.Finish() }
}

// maxTold bounds the failures that are told one by one.
const maxTold = 20

func tellFailures(w io.Writer, r *warm.Result) {
	for i, f := range r.Failures {
		if i == maxTold {
			fmt.Fprintln(w, "... and more")
			return
		}
		fmt.Fprintf(w, "failed: %s: %s\n", f.URL, f.Why)
	}
}
