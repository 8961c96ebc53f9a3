// Package packaging tests what is installed: the release's archives, the Debian package on a machine of its own with and
// without systemd, the units' sockets and readiness. The machine is made of this one (testdata/root.sh), which takes root.
package packaging

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

const (
	oldVersion = "1.2.3"
	newVersion = "1.2.4"
	// threshold is the exposure, from 0 for none to 100, that systemd-analyze security may find in a unit.
	threshold = "20"
	// machineTimeout bounds a test on a machine of its own.
	machineTimeout = 3 * time.Minute
)

// root is the repository's folder.
func root(tb testing.TB) string {
	tb.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

// run runs a command of the repository within a bound and returns what it printed; if it fails, so does the test.
func run(tb testing.TB, dir string, env []string, name string, args ...string) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// built is where the packages lie that have been built, for all tests; TestMain removes it.
var built string

func TestMain(m *testing.M) {
	var err error
	if built, err = os.MkdirTemp("", "pagegate-packages"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(built)
	os.Exit(code)
}

// packageOf builds the package in a version, if no test has yet, and returns its path.
func packageOf(t *testing.T, version string) string {
	t.Helper()
	pattern := built + "/pagegate_" + version + "_*.deb"
	if all, _ := filepath.Glob(pattern); len(all) == 0 {
		run(t, root(t), []string{"VERSION=" + version}, "configs/package/deb.sh", built)
	}
	all, err := filepath.Glob(pattern)
	if err != nil || len(all) != 1 {
		t.Fatalf("packages %v, %v", all, err)
	}
	return all[0]
}

// newMachine makes the folder that a machine sees as /mnt/in: the scripts, the package in two versions, and what the scripts
// are told.
func newMachine(t *testing.T) (dir string) {
	t.Helper()
	for _, program := range []string{"unshare", "ip", "dpkg", "adduser", "curl", "pgrep", "systemd-analyze"} {
		realproc.Find(t, program)
	}
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	for name, version := range map[string]string{"old.deb": oldVersion, "new.deb": newVersion} {
		if err := os.Link(packageOf(t, version), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	settings := "OLD=" + oldVersion + "\nNEW=" + newVersion + "\nTHRESHOLD=" + threshold + "\n"
	if err := os.WriteFile(filepath.Join(dir, "environment"), []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// boot runs a command as process 1 of a machine and returns what it printed.
func boot(t *testing.T, dir string, command ...string) (out string, err error) {
	t.Helper()
	args := append([]string{filepath.Join(dir, "root.sh"), dir}, command...)
	args = append([]string{"bash"}, args...)
	if os.Geteuid() != 0 {
		args = append([]string{realproc.Find(t, "sudo"), "-n"}, args...)
	}
	ctx, cancel := context.WithTimeout(t.Context(), machineTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.WaitDelay = 10 * time.Second
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	err = cmd.Run()
	return both.String(), err
}

func TestPackageWithoutSystemd(t *testing.T) {
	dir := newMachine(t)
	out, err := boot(t, dir, "bash", "-c", "set -a; . /mnt/in/environment; . /mnt/in/sysv.sh")
	if err != nil || !strings.HasSuffix(out, "--- done\n") {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestPackageWithSystemd(t *testing.T) {
	dir := newMachine(t)
	console, err := boot(t, dir, "bash", "-c",
		"cp /mnt/in/pagegate-test.service /etc/systemd/system/; exec /lib/systemd/systemd --unit=pagegate-test.service")
	out, _ := os.ReadFile(filepath.Join(dir, "output"))
	code, _ := os.ReadFile(filepath.Join(dir, "code"))
	if err != nil || string(code) != "0\n" || !strings.HasSuffix(string(out), "--- done\n") {
		t.Fatalf("%v, exit code %q\n%s\n%s", err, code, console, out)
	}
	t.Log(string(out))
}
