package pagekey_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pagegate/internal/pagekey"
	"pagegate/internal/pagekey/pagekeytest"
	"pagegate/internal/realproc"
	"pagegate/nginx"
)

// shippedTemplate parses a template with the lists that ship.
func shippedTemplate(t *testing.T, text string) *pagekey.Template {
	t.Helper()
	var devices []pagekey.Device
	for _, c := range nginx.DeviceClasses() {
		devices = append(devices, pagekey.Device{Name: c.Name, Patterns: c.Patterns})
	}
	tpl, err := pagekey.Parse(text, pagekey.JoinFields(joinsFields(t)), pagekey.Devices(devices),
		pagekey.KeptArguments(pagekey.Arguments{Drop: nginx.TrackingArguments()}))
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

// startShipped starts nginx with the maps that ship and a location that sets the key.
func startShipped(t *testing.T, template string) *askedNginx {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"pagegate-arguments.conf", "pagegate-devices.conf"} {
		text, err := os.ReadFile(filepath.Join("../../nginx", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	n := &askedNginx{}
	l := pagekeytest.Listen(t, "")
	n.record.Serve(t, 0, l)
	path := realproc.SocketPath(t, "nginx")
	n.clients = append(n.clients, pagekeytest.NewClient(t, path))
	realproc.Nginx(t, realproc.NginxHTTP(t.TempDir(), keepOpen+fmt.Sprintf(`
include %[1]s/pagegate-arguments.conf;
include %[1]s/pagegate-devices.conf;
upstream cache { server %[2]s max_fails=0; keepalive 8; }
server { listen unix:%[3]s; location / { set $memcached_key %[4]q; memcached_pass cache; } }
`, dir, l.Addr(), path, template)), "unix:"+path)
	return n
}

// sample gives names that a list's patterns match, or nearly.
func sample(patterns []string) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		p := rapid.SampledFrom(patterns).Draw(t, "pattern")
		p = strings.ReplaceAll(p, "*", rapid.StringMatching(`[a-z0-9_]{0,3}`).Draw(t, "rest"))
		return rapid.SampledFrom([]string{p, p, p, p, "x" + p, p + "x", strings.ToUpper(p), p[:len(p)/2]}).Draw(t, "name")
	})
}

// The maps that ship for nginx give what the package makes of the lists that ship.
func TestShippedMapsAgreeWithNginx(t *testing.T) {
	const template = "$pagegate_device|$uri?$pagegate_args"
	tpl := shippedTemplate(t, template)
	n := startShipped(t, template)
	tracking := sample(nginx.TrackingArguments())
	var agents []string
	for _, c := range nginx.DeviceClasses() {
		agents = append(agents, c.Patterns...)
	}
	device := sample(agents)
	argument := rapid.Custom(func(t *rapid.T) string {
		name := rapid.OneOf(tracking, tracking, rapid.SampledFrom([]string{"a", "b", "id", "", "utm", "=", "%75tm_x"})).Draw(t, "name")
		return name + rapid.SampledFrom([]string{"", "=", "=1", "=a=b", "=%20", "=utm_x"}).Draw(t, "value")
	})
	check := func(rt pagekeytest.Failer, args, agent string) {
		lines := []string{"Host: h"}
		fields := headFields{}
		if agent != "" {
			lines = append(lines, "User-Agent: "+agent)
			fields["User-Agent"] = agent
		}
		got := n.keys(rt, 0, []string{head("GET", "/p?"+args, lines...)})
		key, err := tpl.Append(nil, &pagekey.Request{Target: []byte("/p?" + args), Host: []byte("h"), Fields: fields})
		checkKey(rt, fmt.Sprintf("%q by %q", args, agent), got[0], key, err)
	}
	for _, args := range []string{
		"", "&", "a=1", "a=1&", "utm_source=x", "utm_source=x&", "a=1&utm_source=x", "utm_source=x&a=1", "&&a&&", "gclid&a&gclid",
		strings.Repeat("a&gclid=1&", 8), strings.Repeat("a&gclid=1&", 9), strings.Repeat("a&gclid=1&", 8) + "&", strings.Repeat("a&gclid=1&", 8) + "b",
		strings.Repeat("a=1&", 900), strings.Repeat("&", 3000), strings.Repeat("gclid=1&", 400),
	} {
		check(t, args, "")
	}
	for _, agent := range []string{
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148", "Mozilla/5.0 (Linux; Android 14; Pixel 8) Mobile Safari/537.36",
		"Mozilla/5.0 (Linux; Android 14; SM-X200) Safari/537.36", "Mozilla/5.0 (iPad; CPU OS 16_0)", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
		"curl/8", "IPHONE", "Mobile; rv:1 Firefox", "Firefox Mobile",
	} {
		check(t, "", agent)
	}
	rapid.Check(t, func(rt *rapid.T) {
		args := strings.Join(rapid.SliceOfN(argument, 0, 20).Draw(rt, "arguments"), "&")
		agent := strings.Join(rapid.SliceOfN(device, 0, 3).Draw(rt, "agent"), " ")
		check(rt, args, agent)
	})
}

// headFields are request fields that came once each.
type headFields map[string]string

// AppendField implements pagekey.Fields.
func (f headFields) AppendField(dst []byte, name string, n int) ([]byte, bool) {
	v, ok := f[name]
	if !ok || n > 0 {
		return dst, false
	}
	return append(dst, v...), true
}

// What a shared fetch asks for is what the key tells apart.
func TestShared(t *testing.T) {
	tpl := shippedTemplate(t, "$uri?$pagegate_args")
	for target, want := range map[string]string{
		"/a": "/a", "/a?": "/a", "/a?b": "/a?b", "/a?utm_source=x": "/a", "/a?b=1&gclid=2&c=3": "/a?b=1&c=3", "/a?b&utm_x": "/a?b",
		"/a?b&": "/a?b", "/a%20b?gclid=1&c": "/a%20b?c",
	} {
		shared := tpl.Shared(nil, []byte(target))
		if string(shared) != want {
			t.Errorf("%s: %s, want %s", target, shared, want)
		}
		a, errA := tpl.Append(nil, &pagekey.Request{Target: []byte(target)})
		b, errB := tpl.Append(nil, &pagekey.Request{Target: shared})
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Errorf("%s has the key %q (%v), what is fetched for it %q (%v)", target, a, errA, b, errB)
		}
	}
	plain, _ := pagekey.Parse("$uri?$args")
	if got := plain.Shared(nil, []byte("/a?gclid=1&")); string(got) != "/a?gclid=1&" {
		t.Errorf("without $pagegate_args: %s", got)
	}
}

func TestSortedArguments(t *testing.T) {
	tpl, err := pagekey.Parse("$pagegate_args", pagekey.KeptArguments(pagekey.Arguments{Drop: []string{"x*"}, Sort: true}))
	if err != nil {
		t.Fatal(err)
	}
	many := strings.TrimSuffix(strings.Repeat("b&a&", 40), "&")
	for args, want := range map[string]string{
		"b=1&a=2": "a=2&b=1", "a=2&a=1": "a=2&a=1", "b&a=&a": "a=&a&b", "a&&b&": "a&b", "c&xyz=1&b&x&a": "a&b&c", "a": "a", many: many,
	} {
		key, err := tpl.Append(nil, &pagekey.Request{Target: []byte("/?" + args)})
		if err != nil || string(key) != want {
			t.Errorf("%s: %q (%v), want %q", args, key, err, want)
		}
	}
}

// Every order of the arguments has the same key, and a key's own arguments have that key.
func TestSortingIsStable(t *testing.T) {
	tpl, err := pagekey.Parse("?$pagegate_args", pagekey.KeptArguments(pagekey.Arguments{Sort: true}))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,6}(=[a-z]{0,30})?`), 0, 40, func(s string) string {
			name, _, _ := strings.Cut(s, "=")
			return name
		}).Draw(t, "arguments")
		shuffled := rapid.Permutation(names).Draw(t, "shuffled")
		a, errA := tpl.Append(nil, &pagekey.Request{Target: []byte("/?" + strings.Join(names, "&"))})
		b, errB := tpl.Append(nil, &pagekey.Request{Target: []byte("/?" + strings.Join(shuffled, "&"))})
		c, errC := tpl.Append(nil, &pagekey.Request{Target: append([]byte("/"), a...)})
		if errA != nil || errB != nil || errC != nil || string(a) != string(b) || string(a) != string(c) {
			t.Fatalf("%q %q %q", a, b, c)
		}
	})
}
