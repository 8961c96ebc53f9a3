package fill

import "strings"

// Hosts says which Host field a shared fill is sent with. The page key does not hold the host unless the operator's
// template says so; a client's Host may then not shape the page.
type Hosts struct {
	// Canonical is sent with every fill whose key does not hold the host: the site's name.
	Canonical string
	// Keyed says that the page key holds the host, so that each of Known has pages of its own.
	Keyed bool
	// Known are the hosts that may have pages of their own, in lower case without port. Used only when Keyed.
	Known []string
}

// shares tells whether a request for that host may take part in shared fills.
func (h Hosts) shares(host string) bool {
	return !h.Keyed || h.known(host)
}

// of returns the Host of a fill on behalf of a request for host.
func (h Hosts) of(host string) string {
	if h.Keyed && h.known(host) {
		return host
	}
	return h.Canonical
}

func (h Hosts) known(host string) bool {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	for _, k := range h.Known {
		if strings.EqualFold(strings.TrimSuffix(host, "."), k) {
			return true
		}
	}
	return false
}
