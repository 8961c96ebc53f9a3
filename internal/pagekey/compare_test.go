package pagekey_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pagegate/internal/pagekey"
	"pagegate/internal/pagekey/pagekeytest"
	"pagegate/internal/realproc"
)

// keyJudge compares keys with those of a real nginx, with merge_slashes on and off.
type keyJudge struct {
	nginx             *askedNginx
	unmerged          *pagekey.Template
	compared, refused int
}

func newKeyJudge(t *testing.T) *keyJudge {
	t.Helper()
	unmerged, err := pagekey.Parse(pagekey.Default, pagekey.MergeSlashes(false))
	if err != nil {
		t.Fatal(err)
	}
	return &keyJudge{
		nginx:    startNginx(t, []nginxServer{{pagekey.Default, true}, {pagekey.Default, false}}),
		unmerged: unmerged,
	}
}

// compare compares the keys and the refusals of all targets. One that cannot be sent must be refused.
func (j *keyJudge) compare(t pagekeytest.Failer, targets []string) {
	t.Helper()
	var sent, requests []string
	for _, target := range targets {
		if sendable([]byte(target)) {
			sent = append(sent, target)
			requests = append(requests, head("GET", target, "Host: h"))
		} else if key, err := pagekey.Append(nil, []byte(target)); !errors.Is(err, pagekey.ErrBadTarget) {
			t.Fatalf("%q is no single target, here the key is %q (%v)", target, key, err)
		}
	}
	for server := range 2 {
		for i, nginx := range j.nginx.keys(t, server, requests) {
			var key []byte
			var err error
			if server == 0 {
				key, err = pagekey.Append(nil, []byte(sent[i]))
			} else {
				key, err = j.unmerged.Append(nil, &pagekey.Request{Target: []byte(sent[i]), Host: []byte("h")})
			}
			checkKey(t, fmt.Sprintf("target %q", sent[i]), nginx, key, err)
			j.compared++
			if nginx == nil {
				j.refused++
			}
		}
	}
}

// TestTableEqualsNginx asks nginx about the table that the package's other tests and its documentation rely on.
func TestTableEqualsNginx(t *testing.T) {
	targets := make([]string, len(keyTable))
	for i, c := range keyTable {
		targets[i] = c.target
	}
	newKeyJudge(t).compare(t, targets)
}

// TestKeysEqualNginx sends generated targets to a real nginx and compares every key and every refusal.
func TestKeysEqualNginx(t *testing.T) {
	judge := newKeyJudge(t)
	rapid.Check(t, func(t *rapid.T) { judge.compare(t, genTargets(80).Draw(t, "targets")) })
	t.Logf("%d keys compared, %d of them refused by both", judge.compared, judge.refused)
}

// templates are compared with nginx; each variable occurs, and each with something around it.
var templates = []string{
	"$host$uri?$args",
	"${scheme}://$host$request_uri",
	"$request_method $uri$is_args$query_string",
	"$uri|$arg_a|$arg_B_C|$arg_aa|${arg_x}y",
	"$uri|$cookie_a|$cookie_ab|${cookie_B}c",
	"k:$http_x_a|$http_X_B|$http_accept_language",
	"$uri|$http_host|$http_cookie|$http_user_agent|$http_x_forwarded_for|$http_via|$http_referer",
	"$document_uri$uri?$args#100%",
	"$http_x_a",
	"$uri $arg_a$arg_a$host.$host",
}

// fieldLines implements pagekey.Fields over the lines of a request's head.
type fieldLines []string

func (l fieldLines) AppendField(dst []byte, name string, n int) ([]byte, bool) {
	for _, line := range l {
		key, value, _ := strings.Cut(line, ":")
		if !strings.EqualFold(key, name) {
			continue
		}
		if n == 0 {
			return append(dst, strings.Trim(value, " \t")...), true
		}
		n--
	}
	return dst, false
}

// TestTemplatesEqualNginx compares keys of templates for generated targets, methods, hosts and fields.
func TestTemplatesEqualNginx(t *testing.T) {
	servers := make([]nginxServer, len(templates))
	parsed := make([]*pagekey.Template, len(templates))
	for i, text := range templates {
		merge := i%2 == 0
		servers[i] = nginxServer{text, merge}
		var err error
		parsed[i], err = pagekey.Parse(text, pagekey.MergeSlashes(merge), pagekey.JoinFields(joinsFields(t)))
		if err != nil {
			t.Fatal(err)
		}
	}
	n := startNginx(t, servers)
	compared := 0
	rapid.Check(t, func(t *rapid.T) {
		var requests []string
		var here []*pagekey.Request
		for range 16 {
			target := genTarget().Filter(func(s string) bool { return sendable([]byte(s)) }).Draw(t, "target")
			host := rapid.OneOf(rapid.Just("h.example"), genHost()).Draw(t, "host")
			method := rapid.SampledFrom([]string{"GET", "HEAD"}).Draw(t, "method")
			lines := genFields().Draw(t, "fields")
			requests = append(requests, head(method, target, append([]string{"Host: " + host}, lines...)...))
			here = append(here, &pagekey.Request{
				Target: []byte(target), Host: []byte(host), Method: []byte(method), Fields: fieldLines(lines),
			})
		}
		for server, template := range parsed {
			for i, nginx := range n.keys(t, server, requests) {
				if len(here[i].Host) == 0 {
					if nginx != nil {
						t.Fatalf("%q: nginx takes an empty Host", requests[i])
					}
					continue
				}
				key, err := template.Append(nil, here[i])
				checkKey(t, fmt.Sprintf("template %s\nrequest %q", template, requests[i]), nginx, key, err)
				compared++
			}
		}
	})
	t.Logf("%d keys compared", compared)
}

// TestServerNameEqualsNginx compares $host of a request without any, which HTTP/1.0 allows.
func TestServerNameEqualsNginx(t *testing.T) {
	const text = "$host$uri"
	n := startNginx(t, []nginxServer{{text, true}})
	template, err := pagekey.Parse(text, pagekey.ServerName(testServerName))
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/a", "http://Other.:80/b"} {
		keys := n.keys(t, 0, []string{"GET " + target + " HTTP/1.0\r\n\r\n"})
		key, err := template.Append(nil, &pagekey.Request{Target: []byte(target)})
		checkKey(t, target, keys[0], key, err)
	}
}

// TestExtensionEqualsNginx compares the extension with the Content-Type that nginx finds by it.
func TestExtensionEqualsNginx(t *testing.T) {
	known := []string{"a", "b", "c", "aa", "ab", "abc", "css", "x%y", "a+b"}
	var conf strings.Builder
	socket := realproc.SocketPath(t, "nginx")
	fmt.Fprintf(&conf, "%sserver { listen unix:%s; default_type x/none; types {\n", keepOpen, socket)
	for i, extension := range known {
		fmt.Fprintf(&conf, "x/%d \"%s\";\n", i, extension)
	}
	conf.WriteString("} location / { return 200 x; } }\n")
	realproc.Nginx(t, realproc.NginxHTTP(t.TempDir(), conf.String()), "unix:"+socket)
	client := pagekeytest.NewClient(t, socket)

	tokens := rapid.SampledFrom([]string{
		".", ".", ".", "/", "a", "A", "b", "B", "c", "CSS", "css", "%2e", "%2F", "%3F", "%25", "%41", "+", "~", "?", "#",
	})
	rapid.Check(t, func(t *rapid.T) {
		var targets, requests []string
		for range 60 {
			target := "/" + strings.Join(rapid.SliceOfN(tokens, 0, 8).Draw(t, "target"), "")
			targets = append(targets, target)
			requests = append(requests, head("GET", target, "Host: h"))
		}
		for i, answer := range client.Do(t, requests) {
			uri, err := pagekey.AppendURI(nil, []byte(targets[i]))
			if err != nil {
				continue // TestKeysEqualNginx is about those
			}
			want := "x/none"
			for k, extension := range known {
				if pagekey.Extension(string(uri)) == extension {
					want = fmt.Sprintf("x/%d", k)
				}
			}
			if answer.Type != want {
				t.Fatalf("%q: nginx answers as %q, the extension is %q: %q",
					targets[i], answer.Type, pagekey.Extension(string(uri)), want)
			}
		}
	})
}

// TestOriginEqualsNginx compares the origin-form target with the one that nginx's proxy_pass sends to a backend.
func TestOriginEqualsNginx(t *testing.T) {
	front, back := realproc.SocketPath(t, "front"), realproc.SocketPath(t, "back")
	conf := keepOpen + fmt.Sprintf(`
upstream back { server unix:%s; keepalive 4; }
server { listen unix:%s; location / { proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection ""; } }
server { listen unix:%s; location / { return 200 $request_uri; } }`, back, front, back)
	realproc.Nginx(t, realproc.NginxHTTP(t.TempDir(), conf), "unix:"+front)
	client := pagekeytest.NewClient(t, front)
	rapid.Check(t, func(t *rapid.T) {
		var targets, requests []string
		for range 30 {
			target := genTarget().Draw(t, "target")
			if _, err := pagekey.Append(nil, []byte(target)); err != nil {
				continue
			}
			targets = append(targets, target)
			requests = append(requests, head("GET", target, "Host: h"))
		}
		for i, answer := range client.Do(t, requests) {
			_, origin, err := pagekey.Split([]byte(targets[i]))
			if err != nil || answer.Status != 200 || string(origin) != answer.Body {
				t.Fatalf("%q: nginx asks the backend for %q (%d), here it is %q (%v)",
					targets[i], answer.Body, answer.Status, origin, err)
			}
		}
	})
}
