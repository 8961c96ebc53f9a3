package nginxconf_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pagegate/internal/realproc"
)

// TestLog finds a line for each fate of a request.
func TestLog(t *testing.T) {
	forEach(t, tunedLayouts, func(t *testing.T, l layout) {
		d := open(t, l)
		d.store(t, "/hit?", "page", 0)
		d.ask(t, get("/hit"))
		d.ask(t, get("/hit", "Range: bytes=0-1"))
		d.ask(t, get("/miss?a=b"))
		d.ask(t, get("/bypass", "Cookie: session=1", "User-Agent: tester", "Referer: http://a.example/"))
		d.ask(t, request{method: "POST", target: "/post"})
		d.ask(t, get("/"+strings.Repeat("k", 300)))
		d.ask(t, get("/%zz"))
		for _, line := range []string{
			`"GET /hit HTTP/1.1" 200 4 "-" "-" hit [0-9.]+ "200" "[0-9.]+"`,
			`"GET /hit HTTP/1.1" 206 2 "-" "-" hit [0-9.]+ "200" "[0-9.]+"`,
			`"GET /miss\?a=b HTTP/1.1" 203 \d+ "-" "-" miss [0-9.]+ "404 : 203" "[0-9.]+ : [0-9.]+"`,
			`"GET /bypass HTTP/1.1" 203 \d+ "http://a.example/" "tester" bypass [0-9.]+ "203" "[0-9.]+"`,
			`"POST /post HTTP/1.1" 203 \d+ "-" "-" bypass [0-9.]+ "203" "[0-9.]+"`,
			`"GET /k{300} HTTP/1.1" 203 \d+ "-" "-" error [0-9.]+ "502 : 203" "[0-9.]+ : [0-9.]+"`,
			`"GET /%zz HTTP/1.1" 400 \d+ "-" "-" - [0-9.]+ "-" "-"`,
		} {
			re := regexp.MustCompile(`(?m)^127\.0\.0\.1 - - \[[^]]+\] ` + line + `$`)
			realproc.WaitFor(t, patience, "a log line that matches "+line, func() bool { return re.MatchString(d.nginx.Output()) })
		}
		if out := d.nginx.Output(); strings.Contains(out, "uninitialized") {
			t.Errorf("the log has a warning:\n%s", out)
		}
	})
}

// TestConnectionsAreKept: many requests of one client use one connection to each piece behind nginx.
func TestConnectionsAreKept(t *testing.T) {
	const requests = 20
	forEach(t, tunedLayouts, func(t *testing.T, l layout) {
		d := open(t, l)
		d.store(t, "/hit?", "page", 0)
		stats := make([]*client, len(d.caches))
		before := make([]int, len(d.caches))
		for i, c := range d.caches {
			stats[i] = dial(t, c.addr)
			before[i] = stats[i].totalConnections()
		}
		c := dial(t, d.addr)
		for range requests {
			wantHit(t, c.ask(get("/hit")), "page")
			wantFilled(t, c.ask(get("/bypass", "Cookie: a=b")), "/bypass")
		}
		for i := range stats {
			if n := stats[i].totalConnections() - before[i]; n > 1 {
				t.Errorf("%d connections to cache server %d for %d requests", n, i, requests)
			}
		}
		for i, f := range d.fillers {
			if n := f.connections(); n > 1 {
				t.Errorf("%d connections to filler %d for %d requests", n, i, requests)
			}
		}
	})
}

// totalConnections reads memcached's counter of accepted connections.
func (c *client) totalConnections() int {
	c.t.Helper()
	c.send("stats\r\n")
	total := -1
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		if v, ok := strings.CutPrefix(line, "STAT total_connections "); ok {
			if total, err = strconv.Atoi(strings.TrimSpace(v)); err != nil {
				c.t.Fatal(err)
			}
		}
		if line == "END\r\n" {
			return total
		}
	}
}
