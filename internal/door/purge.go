package door

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"pagegate/internal/pagekey"
	"pagegate/internal/purge"
)

// PurgeRule says who may purge a page by the method PURGE. The zero value: nobody; the method is the backend's then, as
// any that this project does not know.
type PurgeRule struct {
	// Allow are the networks of clients that may.
	Allow []netip.Prefix
	// Token, if not empty, lets any client that sends it as X-Purge-Token.
	Token string
}

func (p *PurgeRule) offered() bool { return len(p.Allow) > 0 || p.Token != "" }

// allows tells whether a client may purge.
func (p *PurgeRule) allows(addr net.Addr, token []byte) bool {
	if p.Token != "" && subtle.ConstantTimeCompare(token, []byte(p.Token)) == 1 {
		return true
	}
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return false
	}
	ip, ok := netip.AddrFromSlice(tcp.IP)
	if !ok {
		return false
	}
	for _, allowed := range p.Allow {
		if allowed.Contains(ip.Unmap()) {
			return true
		}
	}
	return false
}

// purgeTimeout bounds a purge.
const purgeTimeout = 30 * time.Second

// purge answers a visit with the method PURGE by purging the page of its target, as a GET would look it up: soft if
// `X-Purge-Mode: soft` says so. It tells whether the visit was one.
func (d *Door) purge(ctx *fasthttp.RequestCtx, v *Visit) bool {
	if !d.PurgeBy.offered() || string(ctx.Method()) != "PURGE" {
		return false
	}
	h := &ctx.Request.Header
	if !d.PurgeBy.allows(ctx.RemoteAddr(), h.Peek("X-Purge-Token")) {
		d.Log.Warn().Bytes("target", v.Target).Str("client", fmt.Sprint(ctx.RemoteAddr())).Msg("purge refused: neither address nor token allows it")
		writeText(ctx, http.StatusForbidden, "This address may not purge, and no valid X-Purge-Token was sent.")
		return true
	}
	key := d.keyOf(ctx)(string(v.Target))
	bound, cancel := context.WithTimeout(context.Background(), purgeTimeout)
	defer cancel()
	n, err := d.Fill.Purge(bound, purge.Rule{Kind: purge.Key, Value: string(key), Soft: string(h.Peek("X-Purge-Mode")) == "soft"})
	if err != nil {
		d.Log.Warn().Err(err).Bytes("target", v.Target).Msg("purge failed")
		writeText(ctx, http.StatusBadGateway, "The purge failed: "+err.Error())
		return true
	}
	d.Log.Info().Bytes("target", v.Target).Int("pages", n).Msg("purged")
	writeText(ctx, http.StatusOK, "purged: "+strconv.Itoa(n))
	return true
}

// URLKey returns the page key of a URL (http://host/path?query), or of a target (/path?query) of the site.
func (d *Door) URLKey(text string) (string, error) {
	target, host, err := cutURL(text)
	if err != nil {
		return "", err
	}
	key, err := d.Key.Append(nil, &pagekey.Request{
		Target: []byte(target), Host: []byte(host), Method: []byte("GET"), HTTPS: d.HTTPS, Fields: noFields{},
	})
	return string(key), err
}

// cutURL takes the target and the host out of a URL (http://host/path?query), or out of a target (/path?query).
func cutURL(text string) (target, host string, err error) {
	u, err := url.Parse(text)
	if err != nil || !strings.HasPrefix(u.Path, "/") && (u.Host == "" || u.Path != "") {
		return "", "", fmt.Errorf("%q: want a URL (http://host/path?query) or a target (/path?query)", text)
	}
	target = text
	if u.Host != "" {
		_, rest, _ := strings.Cut(text, "//")
		if target = "/"; strings.ContainsAny(rest, "/?") {
			target = rest[strings.IndexAny(rest, "/?"):]
		}
		if target[0] == '?' {
			target = "/" + target
		}
	}
	return target, u.Host, nil
}

// noFields is a request without any.
type noFields struct{}

// AppendField implements pagekey.Fields.
func (noFields) AppendField(dst []byte, _ string, _ int) ([]byte, bool) { return dst, false }
