package main

import (
	"crypto/tls"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pagegate/internal/realproc"
)

// A list of ciphers is read as OpenSSL reads it.
func TestParseCiphers(t *testing.T) {
	const gcm128, gcm256 = tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
	var safe []uint16
	for _, s := range tls.CipherSuites() {
		safe = append(safe, s.ID)
	}
	for list, want := range map[string][]uint16{
		"ECDHE-RSA-AES128-GCM-SHA256":                             {gcm128},
		"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256": {gcm256, gcm128},
		"NO-SUCH:ECDHE-RSA-AES128-GCM-SHA256":                     {gcm128},
		"HIGH:!aNULL:!MD5":                                        safe,
		"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:-ECDHE-RSA-AES128-GCM-SHA256": {gcm256},
		"NO-SUCH": nil, "": nil, ":": nil, "!HIGH": nil,
	} {
		if got, err := parseCiphers(list); !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q: %v, %v; want %v", list, got, err, want)
		}
	}
	for name, id := range cipherSuites {
		if got, err := parseCiphers(name); err != nil || !slices.Equal(got, []uint16{id}) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// ssl_ciphers decides what is spoken up to TLS 1.2, and ssl_keyformat=2 reads a key that is not PEM.
func TestTLSCiphersAndKeyFormat(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, dir, "server")
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	der := filepath.Join(dir, "key.der")
	if err := os.WriteFile(der, block.Bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	addr := realproc.FreeAddr(t)
	started(t, "-Z", "-l", addr, "-o", "ssl_chain_cert="+cert+",ssl_key="+der+",ssl_keyformat=2,ssl_ciphers=ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384")
	c := dialTLS(t, addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	over(t, c, "get a\r\n", "END\r\n")
	if got := tls.CipherSuiteName(c.ConnectionState().CipherSuite); got != "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" && got != "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" {
		t.Errorf("spoke %s", got)
	}
	other := []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	if c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: other}); err == nil {
		c.Close()
		t.Error("another cipher was taken")
	}
}
