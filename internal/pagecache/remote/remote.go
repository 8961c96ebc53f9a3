// Package remote keeps pages on memcached servers, where nginx reads them by itself.
//
// A page that nginx may serve lies split: the bare body under the wire form of the page key, its record under the same
// key behind "pg:m:". Any other page lies whole under "pg:m:" alone. A lock stands under "pg:l:". All three are on the
// server that nginx would ask for the page key (internal/ring).
//
// A body beside which no record of its own is found was stored by an application, or by another writer a moment ago.
// Either way it stands where nginx serves it as it is, so it is served as nginx would serve it.
package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"pagegate/internal/idle"
	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/pagekey"
	"pagegate/internal/ring"
)

const (
	recordPrefix = "pg:m:"
	lockPrefix   = "pg:l:"

	// GzipFlag is the bit of an item's flags that tells nginx (memcached_gzip_flag 2) that the body is gzip.
	GzipFlag = 2

	// maxWireKey is the longest key of the memcached protocol in bytes.
	maxWireKey = 250

	// keepIdle is how long a connection that carries batches is kept without being used. There are no more of them than batches
	// were under way at once within that time: each is a request's, so the clients' connections bound them.
	keepIdle = 30 * time.Second
	// maxIdleConns bounds the others to a server: what goes over them is in no hit's and no miss's way.
	maxIdleConns = 64
)

// Options say how the servers are used. The zero value of a field means the default that its comment gives.
type Options struct {
	// Servers in the order of nginx's upstream block; at least one.
	Servers []ring.Server
	// Modulo chooses servers as nginx's plain `hash KEY` does, instead of `hash KEY consistent`.
	Modulo bool
	// Timeout bounds connecting to a server, and each exchange with it; default 500 ms.
	Timeout time.Duration
	// RetryAfter is how long a server that failed is left alone; default 1 s.
	RetryAfter time.Duration
	// BodyType returns the Content-Type that nginx gives to a bare body, from the page key's $uri; needed.
	BodyType func(uri string) string
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Cache is a pagecache.Cache and pagecache.Locker on memcached servers.
type Cache struct {
	client   *memcache.Client
	selector *Selector
	each     []*memcache.Client // one for each server, for what must reach all of them
	wires    []*wires           // to each server, for batches
	bodyType func(uri string) string
	now      func() time.Time
}

var (
	_ pagecache.Cache  = (*Cache)(nil)
	_ pagecache.Locker = (*Cache)(nil)
)

// New makes a Cache. It does not connect: a server that is down is found out by the first use.
func New(o Options) (*Cache, error) {
	newRing := ring.NewConsistent
	if o.Modulo {
		newRing = ring.NewModulo
	}
	r, err := newRing(o.Servers)
	if err != nil {
		return nil, err
	}
	if o.Timeout <= 0 {
		o.Timeout = 500 * time.Millisecond
	}
	if o.RetryAfter <= 0 {
		o.RetryAfter = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Cache{selector: NewSelector(r, o.Servers, o.RetryAfter), bodyType: o.BodyType, now: o.Now}
	c.client = newClient(c.selector, o)
	for _, srv := range c.selector.servers {
		c.each = append(c.each, newClient(oneServer{srv.addr}, o))
		c.wires = append(c.wires, &wires{addr: srv.addr, timeout: o.Timeout, idle: idle.Pool[*wire]{Keep: keepIdle}})
	}
	return c, nil
}

func newClient(s memcache.ServerSelector, o Options) *memcache.Client {
	client := memcache.NewFromSelector(s)
	client.Timeout = o.Timeout
	client.MaxIdleConns = maxIdleConns
	return client
}

// oneServer selects the only server.
type oneServer struct{ addr net.Addr }

func (s oneServer) PickServer(string) (net.Addr, error) { return s.addr, nil }
func (s oneServer) Each(fn func(net.Addr) error) error  { return fn(s.addr) }

// Get implements pagecache.Cache: body and record are fetched in one exchange.
func (c *Cache) Get(_ context.Context, key []byte, p *page.Page) error {
	wire, ok := wireKey(key)
	if !ok {
		return pagecache.ErrMiss // it cannot have been stored
	}
	keys := append(make([]string, 0, 2), wire)
	if record := recordPrefix + wire; len(record) <= maxWireKey {
		keys = append(keys, record)
	}
	var body, record found
	var b batch
	b.get(map[string]*found{wire: &body, recordPrefix + wire: &record}, keys...)
	if err := c.run(key, &b); err != nil {
		return err
	}
	return c.read(key, &body, &record, p)
}

// read makes a page of what was found.
func (c *Cache) read(key []byte, body, record *found, p *page.Page) error {
	switch {
	case !body.there && !record.there:
		return pagecache.ErrMiss
	case !body.there:
		if err := p.DecodeWhole(record.value); err != nil {
			*p = page.Page{}
			return pagecache.ErrMiss
		}
		return nil
	case record.there && p.DecodeSplit(record.value, body.value) == nil:
		return nil
	}
	uri, _, _ := bytes.Cut(key, []byte("?"))
	*p = page.Page{
		Status:        200,
		Header:        bodyOnlyHeader(c.bodyType(string(uri)), body.flags),
		Body:          body.value,
		NginxReadable: true,
		BodyOnly:      true,
	}
	return nil
}

// bodyOnlyHeader is what nginx sends with a bare body.
func bodyOnlyHeader(contentType string, flags uint32) []byte {
	h := []byte("Content-Type: " + contentType + "\r\n")
	if flags&GzipFlag != 0 {
		h = append(h, "Content-Encoding: gzip\r\n"...)
	}
	return h
}

// Set implements pagecache.Cache.
func (c *Cache) Set(_ context.Context, key []byte, p *page.Page) error {
	var b batch
	if err := c.appendSet(&b, key, p); err != nil || len(b.replies) == 0 {
		return err
	}
	return c.runSet(key, &b)
}

// appendSet adds the commands that store a page; none for one that is past its use.
func (c *Cache) appendSet(b *batch, key []byte, p *page.Page) error {
	wire, ok := wireKey(key)
	if !ok {
		return pagecache.ErrKey
	}
	if p.NginxReadable {
		return c.appendSplit(b, wire, p)
	}
	return c.appendWhole(b, wire, p)
}

// appendSplit stores the body first: until its record follows, it is served as nginx would serve it, which is right. The record
// outlives it: a cache server with a stale window hands out the body for longer, and the record then says that it is stale.
func (c *Cache) appendSplit(b *batch, wire string, p *page.Page) error {
	expires, ok := c.expiration(p.FreshUntil)
	if !ok {
		return nil // it is stale already: there is nothing that nginx may serve
	}
	flags := uint32(0)
	if strings.EqualFold(string(p.Field("Content-Encoding")), "gzip") {
		flags = GzipFlag
	}
	value, err := p.AppendRecord(make([]byte, 0, p.RecordLen()), false)
	if err != nil {
		return err
	}
	b.store("set", wire, flags, expires, nil, p.Body)
	record := recordPrefix + wire
	if len(record) > maxWireKey {
		return nil // the body alone says all that nginx needs
	}
	if kept, ok := c.expiration(p.KeepUntil()); ok {
		expires = kept
	}
	b.store("set", record, 0, expires, nil, value)
	return nil
}

// appendWhole stores the page where nginx does not look, and takes away what stood where it does.
func (c *Cache) appendWhole(b *batch, wire string, p *page.Page) error {
	record := recordPrefix + wire
	if len(record) > maxWireKey {
		return pagecache.ErrKey
	}
	expires, ok := c.expiration(p.KeepUntil())
	if !ok {
		return nil
	}
	value, err := p.AppendRecord(make([]byte, 0, p.RecordLen()), true)
	if err != nil {
		return err
	}
	b.store("set", record, 0, expires, nil, append([][]byte{value, p.Body}, p.Coded[:]...)...)
	b.delete(wire)
	return nil
}

// expiration is an exptime for memcached: whole seconds, so that nginx never serves a page past its freshness; a page
// of less than a second is not worth an item.
func (c *Cache) expiration(until time.Time) (int32, bool) {
	const thirtyDays = 30 * 24 * time.Hour
	left := until.Sub(c.now())
	if left < time.Second {
		return 0, false
	}
	if left > thirtyDays {
		return int32(min(until.Unix(), 1<<31-1)), true
	}
	return int32(left / time.Second), true
}

// Delete implements pagecache.Cache. It asks every server: while one was out of order its pages went to its neighbours.
func (c *Cache) Delete(_ context.Context, key []byte) error {
	wire, ok := wireKey(key)
	if !ok {
		return nil
	}
	var errs []error
	for i, client := range c.each {
		for _, k := range []string{wire, recordPrefix + wire} {
			if len(k) > maxWireKey {
				continue
			}
			if err := client.Delete(k); err != nil && !errors.Is(err, memcache.ErrCacheMiss) {
				errs = append(errs, fmt.Errorf("cache server %v: %w", c.selector.servers[i].addr, err))
				break
			}
		}
	}
	return errors.Join(errs...)
}

// Where implements pagecache.Locator.
func (c *Cache) Where(key []byte) string {
	if i := c.selector.pick(key); i >= 0 {
		return "cache server " + c.selector.servers[i].addr.String()
	}
	return ErrDown.Error()
}

// Close implements pagecache.Cache.
func (c *Cache) Close() error {
	errs := []error{c.client.Close()}
	for i, client := range c.each {
		errs = append(errs, client.Close())
		c.wires[i].idle.Close()
	}
	return errors.Join(errs...)
}

// unwire returns the raw key of one as nginx writes it.
func unwire(wire string) ([]byte, bool) {
	raw, err := pagekey.AppendRaw(nil, []byte(wire))
	return raw, err == nil
}

// wireKey returns the key as nginx writes it, and whether gomemcache can write it too.
func wireKey(raw []byte) (string, bool) {
	wire := pagekey.AppendWire(make([]byte, 0, len(raw)+16), raw)
	if len(wire) > maxWireKey || len(wire) == 0 || bytes.IndexByte(wire, 0x7f) >= 0 {
		return "", false
	}
	return string(wire), true
}
