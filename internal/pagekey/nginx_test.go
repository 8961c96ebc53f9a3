package pagekey_test

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pagegate/internal/pagekey"
	"pagegate/internal/pagekey/pagekeytest"
	"pagegate/internal/realproc"
)

// askedNginx is a real nginx with one server for each template, all in front of one recording cache server.
type askedNginx struct {
	record  pagekeytest.Record
	clients []*pagekeytest.Client
}

// nginxServer is one server block: the key that it sets, and whether it merges slashes.
type nginxServer struct {
	template     string
	mergeSlashes bool
}

// keepOpen makes nginx fit for a pagekeytest.Client.
const keepOpen = "lingering_close always; keepalive_requests 100000000;\n"

const testServerName = "Main.Example"

// startNginx starts nginx with the servers; client i talks to server i.
func startNginx(t *testing.T, servers []nginxServer) *askedNginx {
	t.Helper()
	n := &askedNginx{}
	l := pagekeytest.Listen(t, "")
	n.record.Serve(t, 0, l)

	var conf strings.Builder
	conf.WriteString(keepOpen)
	fmt.Fprintf(&conf, "upstream cache { server %s max_fails=0; keepalive 8; }\n", l.Addr())
	sockets := realproc.SocketPath(t, "nginx")
	for i, s := range servers {
		path := fmt.Sprint(sockets, i)
		merge := "on"
		if !s.mergeSlashes {
			merge = "off"
		}
		fmt.Fprintf(&conf, "server { listen unix:%s; server_name %s; merge_slashes %s;\n", path, testServerName, merge)
		fmt.Fprintf(&conf, "location / { set $memcached_key %q; memcached_pass cache; } }\n", s.template)
		n.clients = append(n.clients, pagekeytest.NewClient(t, path))
	}
	realproc.Nginx(t, realproc.NginxHTTP(t.TempDir(), conf.String()), "unix:"+sockets+"0")
	return n
}

// keys sends the requests to server i and returns the wire key of each, nil for one that was refused with 400, and an
// empty one where nginx answers 500 since $memcached_key is empty.
func (n *askedNginx) keys(t pagekeytest.Failer, i int, requests []string) []*string {
	t.Helper()
	answers := n.clients[i].Do(t, requests)
	looks := n.record.Take()
	keys := make([]*string, len(requests))
	for j, a := range answers {
		switch {
		case a.Status == 400:
		case a.Status == 500:
			keys[j] = new(string)
		case a.Status != 404 || len(looks) == 0:
			t.Fatalf("%q: status %d with %d look-ups left", requests[j], a.Status, len(looks))
		default:
			keys[j] = &looks[0].Key
			looks = looks[1:]
		}
	}
	if len(looks) != 0 {
		t.Fatalf("%d look-ups more than answers", len(looks))
	}
	return keys
}

// joinsFields tells whether the installed nginx joins repeated request fields in $http_NAME: since 1.23.0.
func joinsFields(t *testing.T) bool {
	t.Helper()
	out, err := exec.Command(realproc.Find(t, "nginx"), "-v").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`nginx/1\.(\d+)\.`).FindSubmatch(out)
	if version == nil {
		t.Fatalf("no version in %q", out)
	}
	minor, _ := strconv.Atoi(string(version[1]))
	return minor >= 23
}

// head is a request's head.
func head(method, target string, lines ...string) string {
	return method + " " + target + " HTTP/1.1\r\n" + strings.Join(append(lines, "\r\n"), "\r\n")
}

// sendable tells whether a target can reach a server as one: a space or the end of a line would end it. Whoever is
// handed such a target must refuse it.
func sendable(target []byte) bool {
	return len(target) > 0 && !strings.ContainsAny(string(target), " \r\n")
}

// checkKey compares one key of nginx with the result of the package.
func checkKey(t pagekeytest.Failer, what string, nginx *string, key []byte, err error) {
	t.Helper()
	switch {
	case nginx == nil && !errors.Is(err, pagekey.ErrBadTarget):
		t.Fatalf("%s\nnginx refuses, here the key is %q (%v)", what, key, err)
	case nginx != nil && *nginx == "" && errors.Is(err, pagekey.ErrNoKey):
	case nginx != nil && err != nil:
		t.Fatalf("%s\nnginx %q\nhere  %v", what, *nginx, err)
	case nginx != nil && string(pagekey.AppendWire(nil, key)) != *nginx:
		t.Fatalf("%s\nnginx %q\nhere  %q", what, *nginx, pagekey.AppendWire(nil, key))
	}
}
