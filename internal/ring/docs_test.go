package ring_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"pagegate/internal/realproc"
	"pagegate/internal/ring"
)

// TestDocsPageServer compares the PHP function that docs/page-key.md offers to applications with the package.
func TestDocsPageServer(t *testing.T) {
	docs, err := os.ReadFile("../../docs/page-key.md")
	if err != nil {
		t.Fatal(err)
	}
	var function string
	for _, block := range regexp.MustCompile("(?s)```php\n(.*?)```").FindAllStringSubmatch(string(docs), -1) {
		if strings.Contains(block[1], "function page_server(") {
			function = block[1]
		}
	}
	servers := []ring.Server{
		{Addr: "127.0.0.1:11211", Weight: 2}, {Addr: "unix:/run/cache:1", Weight: 1}, {Addr: "cache3", Weight: 3},
		{Addr: "[::1]:11211", Weight: 1},
	}
	r, err := ring.NewConsistent(servers)
	if err != nil {
		t.Fatal(err)
	}
	var code, want strings.Builder
	fmt.Fprintf(&code, "<?php\n%s\n$servers = [", function)
	for _, s := range servers {
		fmt.Fprintf(&code, "'%s' => %d, ", s.Addr, s.Weight)
	}
	code.WriteString("];\nfor ($i = 0; $i < 2000; $i++) echo page_server($servers, \"/page $i?%\\xff\");\n")
	for i := range 2000 {
		fmt.Fprint(&want, r.Pick(fmt.Appendf(nil, "/page %d?%%\xff", i)))
	}
	file := t.TempDir() + "/code.php"
	if err := os.WriteFile(file, []byte(code.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(realproc.Find(t, "php"), file).CombinedOutput()
	if err != nil {
		t.Fatalf("php: %v\n%s", err, out)
	}
	if string(out) != want.String() {
		t.Errorf("php picks\n%s\nwant\n%s", out, want.String())
	}
}
