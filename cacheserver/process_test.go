package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

// certificate writes a certificate for 127.0.0.1 with a common name, and its key, and returns the files.
func certificate(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// over sends text over a connection and returns as many bytes as want has.
func over(t *testing.T, c net.Conn, text, want string) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); string(got[:n]) != want {
		t.Fatalf("got %.100q (%v), want %.100q", got[:n], err, want)
	}
}

// dialTLS waits until a server answers in TLS.
func dialTLS(t *testing.T, addr string, cfg *tls.Config) (c *tls.Conn) {
	t.Helper()
	realproc.WaitFor(t, 20*time.Second, "TLS on "+addr, func() bool {
		var err error
		c, err = tls.Dial("tcp", addr, cfg)
		return err == nil
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// TLS carries what a socket carries: long values, many commands at once, the binary protocol. A hangup changes certificates.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, dir, "first")
	addr, plain := realproc.FreeAddr(t), realproc.FreeAddr(t)
	started(t, "-Z", "-l", addr+",notls:"+plain, "-o", "ssl_chain_cert="+cert+",ssl_key="+key, "-I", "8m")
	insecure := &tls.Config{InsecureSkipVerify: true}
	c := dialTLS(t, addr, insecure)
	value := strings.Repeat("0123456789abcdef", 1<<18)
	over(t, c, "set big 3 0 4194304\r\n"+value+"\r\n", "STORED\r\n")
	over(t, c, "get big\r\n", "VALUE big 3 4194304\r\n"+value+"\r\nEND\r\n")
	over(t, c, strings.Repeat("get nope\r\n", 5000), strings.Repeat("END\r\n", 5000))
	over(t, dialTLS(t, addr, insecure), "\x80\x0b\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "\x81\x0b")
	ask(t, "tcp", plain, "get nope\r\n", "END\r\n")
	if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != "first" {
		t.Errorf("certificate of %s", got)
	}
	certificate(t, dir, "second")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	realproc.WaitFor(t, 20*time.Second, "the other certificate", func() bool {
		return dialTLS(t, addr, insecure).ConnectionState().PeerCertificates[0].Subject.CommonName == "second"
	})
	over(t, c, "get nope\r\n", "END\r\n")
	watcher := dialTLS(t, addr, insecure)
	over(t, watcher, "watch\r\n", "OK\r\n")
	realproc.WaitFor(t, 20*time.Second, "the watcher to hear", func() bool {
		over(t, c, "get told\r\n", "END\r\n")
		_ = watcher.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		n, _ := watcher.Read(make([]byte, 100))
		return n > 0
	})
}

// With ssl_session_cache a client resumes its session, whatever the listener asks of it, and stats counts only new ones; without it never.
func TestTLSSessions(t *testing.T) {
	cert, key := certificate(t, t.TempDir(), "server")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		mode, option string
		version      uint16
		resumes      bool
	}{
		{"tls:", ",ssl_session_cache", tls.VersionTLS13, true}, {"tls:", ",ssl_session_cache", tls.VersionTLS12, true},
		{"mtls:", ",ssl_session_cache", tls.VersionTLS13, true}, {"btls:", ",ssl_session_cache", tls.VersionTLS13, true}, {"tls:", "", tls.VersionTLS13, false},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			addr := realproc.FreeAddr(t)
			started(t, "-l", tt.mode+addr, "-o", "ssl_chain_cert="+cert+",ssl_key="+key+",ssl_ca_cert="+cert+tt.option)
			cfg := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}, MaxVersion: tt.version, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
			over(t, dialTLS(t, addr, cfg), "get a\r\n", "END\r\n") // and with the answer the client has its ticket
			c := dialTLS(t, addr, cfg)
			if got := c.ConnectionState().DidResume; got != tt.resumes {
				t.Errorf("resumed: %v", got)
			}
			if _, err := io.WriteString(c, "stats\r\nquit\r\n"); err != nil {
				t.Fatal(err)
			}
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			stats, _ := io.ReadAll(c)
			if counted := strings.Contains(string(stats), "STAT ssl_new_sessions 1\r\n"); counted != tt.resumes || strings.Contains(string(stats), "ssl_new_sessions") != tt.resumes {
				t.Errorf("%s", stats)
			}
		})
	}
}

// mtls demands a certificate that is signed by one that is known.
func TestClientCertificates(t *testing.T) {
	cert, key := certificate(t, t.TempDir(), "server")
	addr := realproc.FreeAddr(t)
	started(t, "-l", "mtls:"+addr, "-o", "ssl_chain_cert="+cert+",ssl_key="+key+",ssl_ca_cert="+cert)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	over(t, dialTLS(t, addr, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}}), "get a\r\n", "END\r\n")
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err == nil { // TLS 1.3 tells the client later
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(c, "get a\r\n")
		_, err = c.Read(make([]byte, 1))
		c.Close()
	}
	if err == nil {
		t.Error("served without a certificate")
	}
}

// -d returns when the server listens, whose number is in the file of -P; a start that fails says why.
func TestDaemon(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "cacheserver")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	pidFile, addr := filepath.Join(t.TempDir(), "pid"), realproc.FreeAddr(t)
	if out, err := exec.Command(bin, "-d", "-P", pidFile, "-l", addr, "-A").CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	ask(t, "tcp", addr, "stats\r\n", "STAT pid "+strconv.Itoa(pid)+"\r\n")
	out, err := exec.Command(bin, "-d", "-l", addr).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the port is in use") {
		t.Errorf("%v: %s", err, out)
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "shutdown\r\n"); err != nil {
		t.Fatal(err)
	}
	realproc.WaitFor(t, 20*time.Second, "the end, and that of the file", func() bool {
		_, err := os.Stat(pidFile)
		return os.IsNotExist(err)
	})
}

// What has no effect is accepted and said.
func TestNotes(t *testing.T) {
	addr := realproc.FreeAddr(t)
	l := started(t, "-l", addr, "-o", "modern,ext_io_depth=2,hash_algorithm=xxh3", "-r")
	ask(t, "tcp", addr, "get a\r\n", "END\r\n")
	for _, want := range []string{"-o modern has no effect: ", "-o ext_io_depth has no effect: ", "-o hash_algorithm has no effect: "} {
		if !strings.Contains(l.String(), want) {
			t.Errorf("%q is missing in %s", want, l)
		}
	}
}
