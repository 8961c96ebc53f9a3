package warm

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
)

const (
	// maxSource bounds what is read of one sitemap or list, unpacked: 50 MiB is what the sitemap protocol allows.
	maxSource = 50 << 20
	// maxSitemaps bounds the sitemaps of an index; the protocol's own bound.
	maxSitemaps = 50_000
	// maxNesting bounds the depth of a sitemap's elements.
	maxNesting = 32
)

// Pages are what the sources name.
type Pages struct {
	URLs []*url.URL // each once, in the order of the sources
	// Foreign counts the URLs of hosts that are not the site's, which are left out; OneOf is the host of one of them.
	Foreign int
	OneOf   string
	// Broken are the sitemaps of an index that could not be read, and the lines of a list that are no URL.
	Broken []Failure
}

// collector gathers pages.
type collector struct {
	w     *Warmer
	pages Pages
	seen  map[string]struct{}
	maps  []*url.URL // sitemaps that an index has named and that are still to be read
}

// Collect reads sources: the URL of a sitemap, a file with a sitemap or with one URL or target a line, or "-" for stdin.
// A sitemap may be an index of others; everything may be packed with gzip. What follows a # at the beginning of a line is
// a comment.
func (w *Warmer) Collect(ctx context.Context, sources []string, stdin io.Reader) (*Pages, error) {
	c := &collector{w: w, seen: make(map[string]struct{})}
	for _, source := range sources {
		if err := c.source(ctx, source, stdin); err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
	}
	for len(c.maps) > 0 {
		next := c.maps[0]
		c.maps = c.maps[1:]
		err := c.fetched(ctx, next)
		switch {
		case ctx.Err() != nil, errors.Is(err, errTooMany):
			return nil, err
		case err != nil:
			c.pages.Broken = append(c.pages.Broken, Failure{URL: next.String(), Why: err.Error()})
		}
	}
	return &c.pages, nil
}

// IsURL tells whether a source is the URL of a sitemap rather than a file.
func IsURL(source string) bool {
	return strings.HasPrefix(source, "http://") || strings.HasPrefix(source, "https://")
}

func (c *collector) source(ctx context.Context, source string, stdin io.Reader) error {
	switch {
	case source == "-":
		return c.read(stdin)
	case IsURL(source):
		u, err := url.Parse(source)
		if err != nil {
			return err
		}
		return c.fetched(ctx, u)
	}
	f, err := os.Open(source)
	if err != nil {
		return err
	}
	defer f.Close()
	return c.read(f)
}

// fetched reads a source by HTTP.
func (c *collector) fetched(ctx context.Context, u *url.URL) error {
	resp, err := c.w.get(context.WithValue(ctx, followRedirects{}, true), u)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the answer is %s", resp.Status)
	}
	return c.read(resp.Body)
}

var errTooLong = fmt.Errorf("longer than %d MiB, which no sitemap may be: split it", maxSource>>20)

// read takes the URLs out of a sitemap or a list.
func (c *collector) read(r io.Reader) error {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		in = bufio.NewReader(unpacked)
	}
	in = bufio.NewReader(&bounded{in, maxSource})
	if bom, _ := in.Peek(3); bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3)
	}
	for {
		switch b, err := in.ReadByte(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case b == ' ' || b == '\t' || b == '\r' || b == '\n':
			continue
		case b == '<':
			_ = in.UnreadByte()
			return c.sitemap(in)
		default:
			_ = in.UnreadByte()
			return c.lines(in)
		}
	}
}

// bounded fails where io.LimitReader would end.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, errTooLong
	}
	return n, err
}

// lines reads a list.
func (c *collector) lines(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<10)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := c.page(line); err != nil {
			return err
		}
	}
	return lines.Err()
}

// sitemap reads a <urlset> or a <sitemapindex> (https://www.sitemaps.org/protocol.html). Other elements, those of its
// extensions among them, are passed over.
func (c *collector) sitemap(r io.Reader) error {
	d := xml.NewDecoder(r)
	var path []string
	var text strings.Builder
	for {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if path = append(path, t.Name.Local); len(path) > maxNesting {
				return errors.New("its elements are nested too deep")
			}
			if root := path[0]; root != "urlset" && root != "sitemapindex" {
				return fmt.Errorf("<%s> is no sitemap: want <urlset> or <sitemapindex>, or a list with one URL a line", root)
			}
			text.Reset()
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			err := c.element(strings.Join(path, " "), strings.TrimSpace(text.String()))
			if err != nil {
				return err
			}
			path = path[:len(path)-1]
		}
	}
}

// element takes an element of a sitemap that has ended.
func (c *collector) element(path, text string) error {
	switch path {
	case "urlset url loc":
		return c.page(text)
	case "sitemapindex sitemap loc":
		return c.another(text)
	}
	return nil
}

// another notes a sitemap that an index names.
func (c *collector) another(text string) error {
	u, ok := c.url(text)
	if !ok || !c.first("sitemap "+u.String()) {
		return nil
	}
	if c.maps = append(c.maps, u); len(c.maps) > maxSitemaps {
		return fmt.Errorf("more than %d sitemaps", maxSitemaps)
	}
	return nil
}

// errTooMany says that there are more pages than were allowed.
var errTooMany = errors.New("too many pages: raise --max, or warm a part of them")

// page notes a page.
func (c *collector) page(text string) error {
	u, ok := c.url(text)
	if !ok || !c.first(u.String()) {
		return nil
	}
	if c.pages.URLs = append(c.pages.URLs, u); c.w.o.Max > 0 && len(c.pages.URLs) > c.w.o.Max {
		return errTooMany
	}
	return nil
}

// url reads a URL, or a target of the first site. It notes what is none or of another host.
func (c *collector) url(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err == nil && u.Host == "" && strings.HasPrefix(u.Path, "/") && len(c.w.o.Sites) > 0 {
		u.Scheme, u.Host = c.w.o.Sites[0].Scheme, c.w.o.Sites[0].Host
	}
	switch {
	case err != nil:
		c.pages.Broken = append(c.pages.Broken, Failure{URL: text, Why: err.Error()})
		return nil, false
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		c.pages.Broken = append(c.pages.Broken, Failure{URL: text, Why: "it is no http URL"})
		return nil, false
	case !c.w.ours(u):
		if c.first(text) {
			c.pages.Foreign++
			c.pages.OneOf = u.Host
		}
		return nil, false
	}
	u.Fragment, u.RawFragment, u.User = "", "", nil
	u.Host = hostOf(u)
	return u, true
}

func (c *collector) first(text string) bool {
	_, again := c.seen[text]
	c.seen[text] = struct{}{}
	return !again
}
