package flow

import (
	"time"

	"pagegate/internal/config"
	"pagegate/internal/pagecache"
	"pagegate/internal/pagecache/remote"
	"pagegate/internal/policy"
)

// OpenRemote opens the memcached servers of a configuration.
func OpenRemote(c *config.Config, pol *policy.Policy) (pagecache.Cache, error) {
	servers, err := c.Cache.RingServers()
	if err != nil {
		return nil, err
	}
	return remote.New(remote.Options{
		Servers:    servers,
		Modulo:     c.Cache.Hash == "modulo",
		Timeout:    time.Duration(c.Cache.Timeout),
		RetryAfter: time.Duration(c.Cache.RetryAfter),
		BodyType:   pol.Nginx.ContentType,
	})
}
