package flow

import (
	"io"
	"net/url"
	"time"

	"github.com/rs/zerolog"

	"pagegate/internal/config"
	"pagegate/internal/door"
	"pagegate/internal/fill"
	"pagegate/internal/metrics"
	"pagegate/internal/origin"
	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/pagekey"
	"pagegate/internal/policy"
)

func newLog(c *config.Config, w io.Writer) zerolog.Logger {
	level, err := zerolog.ParseLevel(c.Log.Level)
	if err != nil {
		level = zerolog.InfoLevel
	}
	return zerolog.New(zerolog.SyncWriter(w)).Level(level).With().Timestamp().Logger()
}

// accessLog is what a configuration says of the access log.
func accessLog(c *config.Config, log zerolog.Logger) door.AccessLog {
	return door.AccessLog{
		Log: log, Misses: c.Log.Access != config.AccessOff, Hits: c.Log.Access == config.AccessAll, OneIn: uint32(c.Log.OneIn),
	}
}

func openOrigin(c *config.Config, log zerolog.Logger) (origin.Origin, error) {
	o, err := origin.Open(c.Backend, origin.Options{
		ConnectTimeout: time.Duration(c.Timeouts.Connect),
		HeaderTimeout:  time.Duration(c.Timeouts.Header),
		IdleTimeout:    time.Duration(c.Timeouts.Idle),
		Log:            log,
	})
	if err != nil {
		return nil, err
	}
	name := withoutSecret(c.Backend)
	return origin.Guard(o, name, func(down bool) {
		if down {
			log.Error().Str("backend", name).Msg("the backend is taken to be down; one request a second tries whether it is back")
		} else {
			log.Info().Str("backend", name).Msg("the backend is back")
		}
	}), nil
}

func fillOptions(c *config.Config, from origin.Origin, cache pagecache.Cache, pol *policy.Policy,
	key *pagekey.Template, m *metrics.Metrics, log zerolog.Logger) fill.Options {
	passFor := time.Duration(c.PassFor)
	if passFor == 0 {
		passFor = -1
	}
	return fill.Options{
		Origin:       from,
		Cache:        cache,
		Policy:       pol,
		Metrics:      m,
		Log:          log,
		Hosts:        hosts(c),
		Backend:      ownAddress(c),
		Scheme:       c.Scheme,
		KeyFields:    key.FieldNames(),
		Codings:      codings(c),
		GzipForNginx: c.Nginx.Gzip,
		NginxReads:   len(c.Cache.Servers) > 0,
		Workers:      c.Store.Workers,
		Queue:        c.Store.Queue,
		PassFor:      passFor,
	}
}

// codings are those of a configuration that has been validated.
func codings(c *config.Config) []page.Coding {
	all, _ := c.Codings()
	return all
}

// hosts says which Host shared fills are sent with: the site's first name, or the backend's where none is configured.
func hosts(c *config.Config) fill.Hosts {
	h := fill.Hosts{Canonical: "localhost", Keyed: c.KeyHoldsHost(), Known: c.Hosts}
	if u, err := url.Parse(c.Backend); err == nil && u.Host != "" {
		h.Canonical = u.Host
	}
	if len(c.Hosts) > 0 {
		h.Canonical = c.Hosts[0]
	}
	return h
}

// ownAddress is what the backend may call itself by: its URL, or the Host that it is sent where that is not the site's name.
func ownAddress(c *config.Config) string {
	u, err := url.Parse(c.Backend)
	switch {
	case err != nil:
		return ""
	case u.Scheme == "http+unix" && len(c.Hosts) == 0:
		return "http://" + hosts(c).Canonical
	case u.Scheme == "http", u.Scheme == "https":
		return u.Scheme + "://" + u.Host
	}
	return ""
}

// withoutSecret is a URL for the log.
func withoutSecret(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "?"
	}
	return u.Redacted()
}
