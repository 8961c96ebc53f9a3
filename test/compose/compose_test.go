//go:build compose

package compose

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pagegate/internal/realproc"
)

// containerCount is how many the stack has: nginx, the gateway, the backend, two cache servers and two fillers.
const containerCount = 7

// maxImage bounds the programs' image, in bytes.
const maxImage = 30_000_000

// TestCompose takes the stack through its life, each part after the one before.
func TestCompose(t *testing.T) {
	plugin := prepare(t)
	t.Cleanup(func() { // after the stacks' own
		if _, err := run(commandTimeout, nil, "docker", "rmi", image); err != nil {
			t.Error(err)
		}
	})
	s := newStack(t, "v2", plugin)
	t.Log(strings.TrimSpace(s.do("version")))
	s.do("build")
	s.do("up", "-d")
	s.waitHealthy(containerCount)

	client := newClient(t)
	for _, part := range []struct {
		name string
		fn   func(*testing.T, *stack, *http.Client)
	}{
		{"Image", testImage},
		{"Rights", testRights},
		{"Published", testPublished},
		{"MissAndHit", testMissAndHit},
		{"OneFetch", testOneFetch},
		{"Stops", testStops},
		{"Scale", testScale},
		{"Logs", testLogs},
	} {
		ok := t.Run(part.name, func(t *testing.T) {
			s.t = t
			part.fn(t, s, client)
		})
		s.t = t
		if !ok {
			t.FailNow()
		}
	}

	s.do("down", "-v", "--timeout", "20")
	for _, kind := range []string{"container", "network", "volume"} {
		args := []string{kind, "ls", "-q", "--filter", "label=com.docker.compose.project=" + s.project}
		if kind == "container" {
			args = append(args, "-a")
		}
		if left := docker(t, args...); left != "" {
			t.Errorf("%ss are left: %s", kind, left)
		}
	}
	t.Run("Debian", testDebian)
}

// The image is small, holds the three programs and no shell.
func testImage(t *testing.T, _ *stack, _ *http.Client) {
	size, err := strconv.Atoi(docker(t, "image", "inspect", "--format", "{{.Size}}", image))
	if err != nil || size > maxImage {
		t.Errorf("the image has %d bytes, want at most %d; %v", size, maxImage, err)
	}
	t.Logf("the image has %d bytes", size)
	for program, flag := range map[string]string{"/cacheserver": "-V", "/filler": "--version", "/gateway": "--version"} {
		if out := docker(t, "run", "--rm", "--network", "none", image, program, flag); !strings.Contains(out, strings.TrimPrefix(program, "/")+" 0.0.0-image of 20") {
			t.Errorf("%s %s: %s", program, flag, out)
		}
	}
	if out, err := run(commandTimeout, nil, "docker", "run", "--rm", "--network", "none", image, "/bin/sh"); err == nil {
		t.Errorf("there is a shell: %s", out)
	}
}

// inspected is what is looked at of a container.
type inspected struct {
	Name   string
	Config struct {
		User        string
		Labels      map[string]string
		Healthcheck struct{ Test []string }
	}
	HostConfig struct {
		ReadonlyRootfs bool
		CapDrop        []string
		CapAdd         []string
		SecurityOpt    []string
		Memory         int64
		PidsLimit      int64
		Privileged     bool
		RestartPolicy  struct{ Name string }
		PortBindings   map[string][]struct{ HostIP string }
	}
	NetworkSettings struct{ Networks map[string]any }
}

func inspect(t *testing.T, s *stack) (all []inspected) {
	t.Helper()
	text := docker(t, append([]string{"inspect"}, s.containers()...)...)
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// No container has more rights than it needs.
func testRights(t *testing.T, s *stack, _ *http.Client) {
	for _, c := range inspect(t, s) {
		h := c.HostConfig
		for what, ok := range map[string]bool{
			"user":               c.Config.User == "65532:65532",
			"health check":       len(c.Config.Healthcheck.Test) > 1 && c.Config.Healthcheck.Test[0] == "CMD",
			"read-only root":     h.ReadonlyRootfs,
			"capabilities":       slices.Equal(h.CapDrop, []string{"ALL"}) && len(h.CapAdd) == 0 && !h.Privileged,
			"no new privileges":  slices.Contains(h.SecurityOpt, "no-new-privileges:true"),
			"bound of memory":    h.Memory > 0 && h.Memory <= 256<<20,
			"bound of processes": h.PidsLimit > 0,
			"restart policy":     h.RestartPolicy.Name == "unless-stopped",
		} {
			if !ok {
				t.Errorf("%s: %s: %+v", c.Name, what, c)
			}
		}
	}
	if got := docker(t, "network", "inspect", "--format", "{{.Internal}}", s.project+"_inside"); got != "true" {
		t.Errorf("the private network is internal: %s", got)
	}
}

// Only nginx, the gateway and, on the loopback, the admin page can be reached; nobody else is on a network that leads outside.
func testPublished(t *testing.T, s *stack, client *http.Client) {
	published := map[string][]string{"nginx": {"8081/tcp"}, "gateway": {"8080/tcp", "9090/tcp"}}
	for _, c := range inspect(t, s) {
		service := c.Config.Labels["com.docker.compose.service"]
		var ports []string
		for port, at := range c.HostConfig.PortBindings {
			ports = append(ports, port)
			if port == "9090/tcp" && (len(at) != 1 || at[0].HostIP != "127.0.0.1") {
				t.Errorf("the admin page is published at %v", at)
			}
		}
		slices.Sort(ports)
		if !slices.Equal(ports, published[service]) {
			t.Errorf("%s publishes %v", c.Name, ports)
		}
		if _, outside := c.NetworkSettings.Networks[s.project+"_outside"]; outside != (published[service] != nil) {
			t.Errorf("%s is on %v", c.Name, c.NetworkSettings.Networks)
		}
	}
	if a, err := get(client, s.admin, "/readyz"); err != nil || !strings.HasPrefix(a.body, "ready\n") {
		t.Errorf("the admin page: %v, %+v", err, a)
	}
}

// A page is a miss, then a hit, at each door, and what one door stored is a hit at the other.
func testMissAndHit(t *testing.T, s *stack, client *http.Client) {
	for _, tt := range []struct{ name, door, other string }{
		{"nginx", s.nginx, s.gateway},
		{"gateway", s.gateway, s.nginx},
	} {
		for i := range 20 { // so that both cache servers and both fillers have some
			target := fmt.Sprintf("/fresh/none?%s=%d", tt.name, i)
			first := mustGet(t, client, tt.door, target)
			if !strings.Contains(first.cacheStatus, "fwd=uri-miss; fwd-status=200; stored") {
				t.Errorf("%s: %s: first %q", tt.name, target, first.cacheStatus)
			}
			waitHit(t, client, tt.door, target)
			for _, door := range []string{tt.door, tt.other} {
				if a := mustGet(t, client, door, target); !a.isHit() || a.body != first.body {
					t.Errorf("%s: %s: then %q at %s", tt.name, target, a.cacheStatus, door)
				}
			}
		}
	}
}

// waitHit asks for a page until it comes from the cache: pages are stored behind their visitor's back.
func waitHit(t *testing.T, client *http.Client, door, target string) {
	t.Helper()
	realproc.WaitFor(t, patience, target+" to be stored", func() bool { return mustGet(t, client, door, target).isHit() })
}

// 200 visitors at once cause one request to the backend, at nginx, at the gateway, and at both together.
func testOneFetch(t *testing.T, s *stack, client *http.Client) {
	for name, doors := range map[string][]string{"nginx": {s.nginx}, "gateway": {s.gateway}, "both": {s.nginx, s.gateway}} {
		target := "/shop/3?herd=" + name
		var visitors sync.WaitGroup
		bodies := make([]string, 200)
		for i := range bodies {
			visitors.Go(func() {
				a, err := get(client, doors[i%len(doors)], target)
				if err != nil || a.status != http.StatusOK {
					t.Errorf("%s: %v, status %d", target, err, a.status)
				}
				bodies[i] = a.body
			})
		}
		visitors.Wait()
		if slices.ContainsFunc(bodies, func(b string) bool { return b != bodies[0] }) {
			t.Errorf("%s: not the same page for all", target)
		}
		if n := strings.Count(s.logs("backend"), `"target":"`+target+`"`); n != 1 {
			t.Errorf("%s: the backend was asked %d times", target, n)
		}
	}
}

// A cache server and a filler stop and come back under load: nobody notices, and both are used again.
func testStops(t *testing.T, s *stack, client *http.Client) {
	l := startLoad(t, client, "stops", s.nginx, s.gateway)
	defer l.stop()
	l.goOn(300)
	filler := s.containers("filler")[0]
	s.do("stop", "cacheserver1")
	l.goOn(300)
	docker(t, "stop", filler)
	l.goOn(300)
	s.do("start", "cacheserver1")
	docker(t, "start", filler)
	s.waitHealthy(containerCount)
	l.goOn(300)
	for i := range 20 { // half of them on the cache server that was away
		waitHit(t, client, s.nginx, fmt.Sprintf("/fresh/none?again=%d", i))
	}
	waitForRequests(t, filler)
}

// waitForRequests waits until a filler that has just started has answered something.
func waitForRequests(t *testing.T, filler string) {
	t.Helper()
	started := docker(t, "inspect", "--format", "{{.State.StartedAt}}", filler)
	realproc.WaitFor(t, patience, "requests at filler "+filler, func() bool {
		// The programs log to standard error.
		out, err := run(commandTimeout, nil, "sh", "-c", `docker logs --since "$0" "$1" 2>&1`, started, filler)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(out, `"message":"request"`)
	})
}

// A third filler is found and used while nginx runs; when it goes, nobody notices.
func testScale(t *testing.T, s *stack, client *http.Client) {
	l := startLoad(t, client, "scale", s.nginx)
	defer l.stop()
	l.goOn(100)
	s.do("up", "-d", "--no-recreate", "--scale", "filler=3")
	s.waitHealthy(containerCount + 1)
	waitForRequests(t, s.containers("filler")[2])
	l.goOn(100)
	s.do("up", "-d", "--no-recreate", "--scale", "filler=2")
	s.waitHealthy(containerCount)
	l.goOn(100)
}

// The logs say what has happened, and nothing bad.
func testLogs(t *testing.T, s *stack, client *http.Client) {
	waitHit(t, client, s.nginx, "/shop/5?logs")
	for service, wants := range map[string][]string{
		"nginx":   {` miss `, ` hit `, `"GET /shop/5?logs HTTP/1.1" 200 `},
		"filler":  {`"message":"filler started"`, `"outcome":"miss"`, `"target":"/shop/5?logs"`},
		"gateway": {`"message":"gateway started"`, `"outcome":"miss"`},
		"backend": {`"target":"/shop/5?logs"`},
	} {
		logs := s.logs(service)
		for _, want := range wants {
			if !strings.Contains(logs, want) {
				t.Errorf("%s has not logged %q", service, want)
			}
		}
		for _, bad := range []string{"panic", `"level":"error"`, "[alert]", "[emerg]"} {
			if i := strings.Index(logs, bad); i >= 0 {
				t.Errorf("%s has logged %s", service, logs[max(0, i-200):min(len(logs), i+400)])
			}
		}
	}
}

// Debian's docker-compose takes the same file.
func testDebian(t *testing.T) {
	s := newStack(t, "debian", []string{realproc.Find(t, "docker-compose")})
	t.Log(strings.TrimSpace(s.do("version", "--short")))
	s.do("config", "-q")
	s.do("up", "-d", "--no-build")
	s.waitHealthy(containerCount)
	client := newClient(t)
	for _, door := range []string{s.nginx, s.gateway} {
		waitHit(t, client, door, "/shop/7?at="+door)
	}
	s.do("up", "-d", "--no-build", "--scale", "filler=3")
	s.waitHealthy(containerCount + 1)
}
