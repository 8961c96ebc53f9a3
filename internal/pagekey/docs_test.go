package pagekey_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pagegate/internal/pagekey"
	"pagegate/internal/realproc"
)

// docs is the page that explains the key; what it shows must be true.
func docs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/page-key.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// phpBlock returns the n-th PHP example of the page.
func phpBlock(t *testing.T, n int) string {
	t.Helper()
	blocks := regexp.MustCompile("(?s)```php\n(.*?)```").FindAllStringSubmatch(docs(t), -1)
	if n >= len(blocks) {
		t.Fatalf("the page has %d PHP examples", len(blocks))
	}
	return blocks[n][1]
}

// runPHP runs PHP code and returns what it prints.
func runPHP(t *testing.T, code string) string {
	t.Helper()
	file := t.TempDir() + "/code.php"
	if err := os.WriteFile(file, []byte("<?php\n"+code), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(realproc.Find(t, "php"), file).CombinedOutput()
	if err != nil {
		t.Fatalf("php: %v\n%s", err, out)
	}
	return string(out)
}

func TestDocsTable(t *testing.T) {
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (?:`([^`]+)`|400) \\|$").FindAllStringSubmatch(docs(t), -1)
	if len(rows) < 30 {
		t.Fatalf("the table has %d rows", len(rows))
	}
	for _, row := range rows {
		key, err := pagekey.Append(nil, []byte(row[1]))
		if got := string(pagekey.AppendWire(nil, key)); got != row[2] || (err != nil) != (row[2] == "") {
			t.Errorf("%s: the page says %q, it is %q (%v)", row[1], row[2], got, err)
		}
	}
}

// TestDocsWireKey compares the PHP functions of the page with the package, over bytes of all kinds.
func TestDocsWireKey(t *testing.T) {
	paths := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 12), 300, 300).Example(1)
	code := bytes.NewBufferString(phpBlock(t, 0))
	var want strings.Builder
	for _, path := range paths {
		fmt.Fprintf(code, "echo page_wire_key(page_key(hex2bin('%x'), 'a=%%20&b')), \"\\n\";\n", path)
		fmt.Fprintf(&want, "%s\n", pagekey.AppendWire(nil, append(path, "?a=%20&b"...)))
	}
	if got := runPHP(t, code.String()); got != want.String() {
		t.Errorf("php gives\n%q\nwant\n%q", got, want.String())
	}
}

// TestDocsStore runs the page's example against a memcached and finds the page where nginx asks for it; with a path
// that is not ASCII it takes the option that the page names.
func TestDocsStore(t *testing.T) {
	for _, c := range []struct{ name, option, path, target string }{
		{"text", "", "/news/2024 spring", "/news//2024%20spring?page=2"},
		{
			"binary", "$cache->setOption(Memcached::OPT_BINARY_PROTOCOL, true);",
			"/news/\xc3\xa9t\xc3\xa9", "/news/%C3%A9t%C3%A9?page=2",
		},
	} {
		t.Run(c.name, func(t *testing.T) { checkStore(t, c.option, c.path, c.target) })
	}
}

func checkStore(t *testing.T, option, path, target string) {
	addr, _ := realproc.Memcached(t)
	_, port, _ := strings.Cut(addr, ":")
	body := strings.Repeat("<h1>News</h1>", 400) // long enough for the extension to compress it
	example := strings.NewReplacer(
		"11211", port, "<h1>News</h1>", body, "/news/2024 spring", path, "new Memcached();\n", "new Memcached();\n"+option,
	)
	if printed := runPHP(t, phpBlock(t, 0)+example.Replace(phpBlock(t, 1))); printed != "" {
		t.Errorf("the example prints %q", printed)
	}
	key, err := pagekey.Append(nil, []byte(target))
	if err != nil {
		t.Fatal(err)
	}
	wire := pagekey.AppendWire(nil, key)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "get %s\r\nquit\r\n", wire)
	got, err := io.ReadAll(c)
	if want := fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\nEND\r\n", wire, len(body), body); err != nil || string(got) != want {
		t.Errorf("memcached has %.200q (%v), want %.200q", got, err, want)
	}
}
