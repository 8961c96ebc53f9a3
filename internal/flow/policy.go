package flow

import (
	"slices"
	"time"

	"pagegate/internal/config"
	"pagegate/internal/policy"
	"pagegate/nginx"
)

// NewPolicy makes the rules of a configuration. What nginx decides by itself comes from the files that ship for nginx,
// so that both doors decide alike.
func NewPolicy(c *config.Config) *policy.Policy {
	types := c.Nginx.Types
	if types == nil {
		types = nginx.Types()
	}
	return &policy.Policy{
		TTL:           time.Duration(c.TTL),
		Stale:         time.Duration(c.Stale),
		Refresh:       time.Duration(c.Refresh),
		ClientControl: c.ObeysClients(),
		AllFields:     c.FillsWithAllFields(),
		MaxBody:       int64(c.MaxBody),
		Cookies:       policy.NewCookieRule(slices.Concat(nginx.AnalyticsCookies(), c.Cookies.Anonymous)),
		Nginx: policy.NginxView{
			Types:       types,
			DefaultType: c.Nginx.DefaultType,
			Adds:        c.Nginx.Adds,
		},
	}
}
