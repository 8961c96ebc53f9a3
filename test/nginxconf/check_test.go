package nginxconf_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pagegate/internal/realproc"
)

// TestConfigCheck runs `nginx -t` on each file with the addresses that it ships with: not even a warning.
func TestConfigCheck(t *testing.T) {
	forEach(t, append([]layout{inContainers}, allLayouts...), func(t *testing.T, l layout) {
		run := runDir(t)
		file := mainFile(t, l, run, l.listen, l.caches, l.fillers)
		out, err := exec.Command(realproc.Find(t, "nginx"), "-t", "-e", "stderr", "-p", run, "-c", file).CombinedOutput()
		want := fmt.Sprintf("nginx: the configuration file %s syntax is ok\nnginx: configuration file %s test is successful\n", file, file)
		if err != nil || string(out) != want {
			t.Errorf("nginx -t: %v\n%s", err, out)
		}
	})
}

// nobody is the user that shares nothing with the one who runs the tests.
const nobody = 65534

// TestUnprivileged starts the shipped nginx.conf as a user who owns nothing but the folder that it runs in, as
// `make run-nginx` may. Where an unprivileged user runs the tests it is that user.
func TestUnprivileged(t *testing.T) {
	run := runDir(t)
	cache, f := startCache(t, false), startFiller(t, false, nil)
	addr := realproc.FreeAddr(t)
	file := mainFile(t, overTCP, run, addr, []string{cache.addr}, []string{f.addr})
	// By a shell, so that standard output is a file of that user's: /dev/stdout is opened by name.
	log := filepath.Join(run, "stdout.log")
	cmd := exec.Command("/bin/sh", "-c", `exec "$0" -e stderr -p "$1" -c "$2" -g 'daemon off;' >"$3"`,
		realproc.Find(t, "nginx"), run, file, log)
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if err := os.Chown(run, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	p := realproc.StartCmd(t, cmd)
	p.WaitListen(t, addr)

	c := dial(t, addr)
	wantFilled(t, c.ask(get("/page")), "/page")
	cache.set(t, "/page?", "a page", 0)
	wantHit(t, c.ask(get("/page")), "a page")
	large := strings.Repeat("x", 1<<20) // goes through a temporary file
	wantFilled(t, c.ask(request{method: "POST", target: "/form", body: large}), "/form")
	for _, name := range []string{"nginx.pid", "tmp_client_body", "tmp_proxy", "tmp_fastcgi", "tmp_uwsgi", "tmp_scgi"} {
		if _, err := os.Stat(filepath.Join(run, name)); err != nil {
			t.Errorf("not in the folder that nginx was given: %v", err)
		}
	}
	realproc.WaitFor(t, patience, "three lines in the access log", func() bool {
		b, err := os.ReadFile(log)
		return err == nil && strings.Count(string(b), "\n") == 3
	})
	p.Stop()
	for line := range strings.Lines(p.Output()) {
		if !strings.Contains(line, "is buffered to a temporary file") {
			t.Errorf("nginx complained: %s", line)
		}
	}
}
