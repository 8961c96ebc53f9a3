package admin

import (
	"context"
	"encoding/json"
	"net/http"

	"pagegate/internal/purge"
)

// Purger is what a program offers to purge its pages with.
type Purger struct {
	// Purge purges the pages of a rule and tells how many they were. ctx bounds it.
	Purge func(ctx context.Context, r purge.Rule) (int, error)
	// Key returns the page key of a URL, or of a target of the site's.
	Key func(url string) (string, error)
}

// PurgeResult is the answer to a purge.
type PurgeResult struct {
	Purged int    `json:"purged"`
	Error  string `json:"error,omitempty"`
}

// ServeHTTP answers POST /purge. The form says what: url (a URL or target), key, prefix, match, tag, each as often as
// wanted, and soft=1 to make the pages stale only.
func (p *Purger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rules, err := p.rules(r)
	if err != nil {
		answer(w, http.StatusBadRequest, PurgeResult{Error: err.Error()})
		return
	}
	if len(rules) == 0 {
		answer(w, http.StatusBadRequest, PurgeResult{Error: "say what to purge: url=, key=, prefix=, match= or tag="})
		return
	}
	var result PurgeResult
	for _, rule := range rules {
		n, err := p.Purge(r.Context(), rule)
		if result.Purged += n; err != nil {
			result.Error = err.Error()
			answer(w, http.StatusBadGateway, result)
			return
		}
	}
	answer(w, http.StatusOK, result)
}

// rules reads the form.
func (p *Purger) rules(r *http.Request) (rules []purge.Rule, err error) {
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	soft := r.Form.Get("soft") != "" && r.Form.Get("soft") != "0"
	for _, url := range r.Form["url"] {
		key, err := p.Key(url)
		if err != nil {
			return nil, err
		}
		rules = append(rules, purge.Rule{Kind: purge.Key, Value: key, Soft: soft})
	}
	for _, kind := range []purge.Kind{purge.Key, purge.Prefix, purge.Match, purge.Tag} {
		for _, value := range r.Form[string(kind)] {
			rule := purge.Rule{Kind: kind, Value: value, Soft: soft}
			if err := rule.Check(); err != nil {
				return nil, err
			}
			rules = append(rules, rule)
		}
	}
	return rules, nil
}

func answer(w http.ResponseWriter, status int, result PurgeResult) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(result)
}
