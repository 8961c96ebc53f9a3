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
	all := basePolicy(c)
	for i := range c.Rules {
		all.Rules = append(all.Rules, pathRule(all, &c.Rules[i]))
	}
	return all
}

// basePolicy is the policy of the paths that no rule has.
func basePolicy(c *config.Config) *policy.Policy {
	types := c.Nginx.Types
	if types == nil {
		types = nginx.Types()
	}
	return &policy.Policy{
		Name:          policy.DefaultRule,
		StatusTTL:     spans(c.StatusTTL),
		Keyed:         keyed(c),
		TTL:           time.Duration(c.TTL),
		Stale:         time.Duration(c.Stale),
		Refresh:       time.Duration(c.Refresh),
		ClientControl: c.ObeysClients(),
		AllFields:     c.FillsWithAllFields(),
		MaxBody:       int64(c.MaxBody),
		Cookies:       cookieRule(&c.Cookies),
		Nginx: policy.NginxView{
			Types:       types,
			DefaultType: c.Nginx.DefaultType,
			Adds:        c.Nginx.Adds,
			Only:        c.Nginx.Only,
		},
	}
}

// pathRule makes a rule's policy: that of all other paths, less what the rule says.
func pathRule(all *policy.Policy, r *config.Rule) policy.Rule {
	p := *all
	p.Rules = nil
	p.Name, p.Bypass = r.Label(), r.Bypass
	if r.TTL != nil {
		p.TTL, p.AnyType = time.Duration(*r.TTL), true
	}
	if r.StatusTTL != nil {
		p.StatusTTL = spans(r.StatusTTL)
	}
	if r.Stale != nil {
		p.Stale = time.Duration(*r.Stale)
	}
	if r.Refresh != nil {
		p.Refresh = time.Duration(*r.Refresh)
	}
	if r.MaxBody != nil {
		p.MaxBody = int64(*r.MaxBody)
	}
	if r.Cookies != nil {
		p.Cookies = cookieRule(r.Cookies)
	}
	return policy.Rule{Paths: r.Path, Policy: &p}
}

func cookieRule(c *config.Cookies) policy.CookieRule {
	if c.NamesPersonal() {
		return policy.SessionCookies(c.PersonalPatterns())
	}
	return policy.NewCookieRule(slices.Concat(nginx.AnalyticsCookies(), c.Anonymous))
}

func spans(of map[int]config.Duration) map[int]time.Duration {
	out := make(map[int]time.Duration, len(of))
	for status, d := range of {
		out[status] = time.Duration(d)
	}
	return out
}

// keyed are the fields whose part in a page the key has. The configuration has been validated.
func keyed(c *config.Config) []string {
	key, err := c.Template()
	if err != nil {
		return nil
	}
	names := key.FieldNames()
	if key.UsesDevice() {
		names = append(names, "User-Agent", policy.DeviceField)
	}
	return names
}
