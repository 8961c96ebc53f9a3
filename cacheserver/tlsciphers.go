package main

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// cipherSuites are those up to TLS 1.2 that the TLS library has, by OpenSSL's names (openssl-ciphers(1)). Those of TLS 1.3 cannot be
// chosen by ssl_ciphers with memcached either.
var cipherSuites = map[string]uint16{
	"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-ECDSA-AES128-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
	"ECDHE-RSA-AES128-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	"ECDHE-ECDSA-AES256-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
	"ECDHE-RSA-AES256-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
	"ECDHE-ECDSA-AES128-SHA256":     tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
	"ECDHE-RSA-AES128-SHA256":       tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
	"AES128-GCM-SHA256":             tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
	"AES256-GCM-SHA384":             tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
	"AES128-SHA256":                 tls.TLS_RSA_WITH_AES_128_CBC_SHA256,
	"AES128-SHA":                    tls.TLS_RSA_WITH_AES_128_CBC_SHA,
	"AES256-SHA":                    tls.TLS_RSA_WITH_AES_256_CBC_SHA,
}

// parseCiphers reads a list as ssl_ciphers has it, names with colons between them. As with OpenSSL a name that is not known is left
// out, unless none is left. DEFAULT, HIGH and ALL are what the TLS library takes for safe; ! and - before a name take it out.
func parseCiphers(list string) ([]uint16, error) {
	var chosen []uint16
	banned := make(map[uint16]bool)
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ':' || r == ' ' }) {
		switch out := strings.TrimLeft(name, "!-"); {
		case out != name:
			banned[cipherSuites[out]] = true
		case name == "DEFAULT" || name == "HIGH" || name == "ALL":
			for _, s := range tls.CipherSuites() {
				chosen = append(chosen, s.ID)
			}
		case cipherSuites[name] != 0:
			chosen = append(chosen, cipherSuites[name])
		}
	}
	chosen = slices.DeleteFunc(chosen, func(id uint16) bool { return banned[id] })
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-o ssl_ciphers: %q leaves no cipher: want OpenSSL's names, like ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384, or DEFAULT", list)
	}
	return chosen, nil
}
