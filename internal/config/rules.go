package config

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"pagegate/nginx"
)

// Rule is what holds for some paths. What it does not name is as for all others.
type Rule struct {
	// Path are patterns of the path, decoded and tidied up as in nginx's $uri; `*` stands for any characters, slashes
	// included.
	Path List `yaml:"path"`
	// Name labels metrics and logs; default the first pattern.
	Name string `yaml:"name"`
	// Bypass makes every request a pass: it goes to the backend in full, and nothing of the answer is kept.
	Bypass bool `yaml:"bypass"`
	// TTL is as for all, but for responses of any type.
	TTL       *Duration        `yaml:"ttl"`
	StatusTTL map[int]Duration `yaml:"status_ttl"`
	Stale     *Duration        `yaml:"stale"`
	Refresh   *Duration        `yaml:"refresh"`
	MaxBody   *Size            `yaml:"max_body"`
	// Cookies replace those for all.
	Cookies *Cookies `yaml:"cookies"`
}

// Label is the rule's name.
func (r *Rule) Label() string {
	if r.Name == "" {
		return r.Path[0]
	}
	return r.Name
}

func (c *Config) validateRules(v *validator) {
	v.statusTTL("status_ttl", c.StatusTTL)
	v.cookies("cookies", &c.Cookies)
	for i := range c.Rules {
		r := &c.Rules[i]
		at := "rules[" + strconv.Itoa(i) + "]"
		if len(r.Path) == 0 {
			v.fail(at, "it has no path; write path: /shop/* or path: [/a, /b/*]")
		}
		for _, p := range r.Path {
			if !strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "*") {
				v.fail(at+".path", "%q: a path begins with a slash, or with * for anything", p)
			}
		}
		if r.Bypass && (r.TTL != nil || r.StatusTTL != nil || r.Stale != nil || r.Refresh != nil || r.MaxBody != nil || r.Cookies != nil) {
			v.fail(at+".bypass", "nothing is kept of what is bypassed: remove the rule's other fields")
		}
		v.statusTTL(at+".status_ttl", r.StatusTTL)
		if r.Cookies != nil {
			v.cookies(at+".cookies", r.Cookies)
		}
	}
}

func (v *validator) statusTTL(field string, ttl map[int]Duration) {
	for _, status := range slices.Sorted(maps.Keys(ttl)) {
		switch {
		case status == http.StatusOK:
			v.fail(field, "200 is what ttl is for")
		case status < 203 || status > 599 || status == http.StatusPartialContent || status == http.StatusNotModified:
			v.fail(field, "%d is no status whose response is kept", status)
		}
	}
}

func (v *validator) cookies(field string, c *Cookies) {
	if len(c.Anonymous) > 0 && c.NamesPersonal() {
		v.fail(field, "where sessions or personal name the cookies that count, all others are anonymous: remove anonymous")
	}
	for _, name := range c.Sessions {
		if c.set(name) == nil {
			var names []string
			for _, set := range nginx.SessionCookies() {
				names = append(names, set.Name)
			}
			v.fail(field+".sessions", "%q: want %s", name, strings.Join(names, ", "))
		}
	}
}

// NamesPersonal tells whether the cookies that make a request personal are named, rather than those that do not.
func (c *Cookies) NamesPersonal() bool { return len(c.Sessions) > 0 || len(c.Personal) > 0 }

// PersonalPatterns returns the patterns of the cookies that are named as personal.
func (c *Cookies) PersonalPatterns() []string {
	patterns := slices.Clone(c.Personal)
	for _, name := range c.Sessions {
		patterns = append(patterns, c.set(name)...)
	}
	return patterns
}

// set returns the patterns of a set that ships, nil if there is none of that name.
func (*Cookies) set(name string) []string {
	for _, set := range nginx.SessionCookies() {
		if set.Name == name {
			return set.Patterns
		}
	}
	return nil
}
