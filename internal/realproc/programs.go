package realproc

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// WithPrograms builds this project's programs into a folder, calls run with it, and returns run's exit code. It is for a
// TestMain.
func WithPrograms(run func(bin string) int) int {
	dir, err := os.MkdirTemp("", "pagegate-programs")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "pagegate/cacheserver", "pagegate/filler", "pagegate/gateway")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the programs:", err)
		return 1
	}
	return run(dir)
}

// memcachedEnv names a memcached to test against; without it that is Debian's, from PATH.
const memcachedEnv = "PAGEGATE_TEST_MEMCACHED"

func memcachedProgram() string { return cmp.Or(os.Getenv(memcachedEnv), "memcached") }

// MemcachedPath returns the path of the program that Memcached starts.
func MemcachedPath(tb testing.TB) string {
	tb.Helper()
	return Find(tb, memcachedProgram())
}

// MemcachedVersion returns the version of the program that Memcached starts, "1.6.45" say.
func MemcachedVersion(tb testing.TB) string {
	tb.Helper()
	out, err := exec.Command(Find(tb, memcachedProgram()), "-V").Output()
	version, ok := strings.CutPrefix(strings.TrimSpace(string(out)), "memcached ")
	if err != nil || !ok {
		tb.Fatalf("%s -V: %q, %v", memcachedProgram(), out, err)
	}
	return version
}

// Memcached starts memcached on a free port with further flags, and returns its address. It is Debian's, or the one that
// PAGEGATE_TEST_MEMCACHED in the environment names.
func Memcached(tb testing.TB, flags ...string) (addr string, p *Proc) {
	tb.Helper()
	port := FreePort(tb)
	args := append([]string{"-p", strconv.Itoa(port), "-l", "127.0.0.1", "-U", "0", "-u", "nobody"}, flags...)
	p = Start(tb, memcachedProgram(), args...)
	tb.Cleanup(p.Kill) // told to stop it takes a second, and it has nothing to save
	addr = fmt.Sprintf("127.0.0.1:%d", port)
	p.WaitListen(tb, addr)
	return addr, p
}

// Nginx starts nginx in the foreground with a whole main configuration file's text and waits for addr to answer. The
// text must not set daemon, pid, error_log, master_process, user or the temp paths: NginxMain gives them.
func Nginx(tb testing.TB, conf, addr string) *Proc {
	tb.Helper()
	dir := tb.TempDir()
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		tb.Fatal(err)
	}
	return NginxFile(tb, file, dir, addr)
}

// NginxFile starts nginx in the foreground with a configuration file that stays where it is, as shipped; prefix is the
// folder that the file's relative paths start from.
func NginxFile(tb testing.TB, file, prefix, addr string) *Proc {
	tb.Helper()
	args := []string{"-p", prefix, "-c", file, "-e", "stderr", "-g", "daemon off;"}
	p := StartCmd(tb, exec.Command(Find(tb, "nginx"), args...))
	p.WaitListen(tb, addr)
	return p
}

// NginxShipped starts nginx with the configuration in the project's nginx folder, of which the first argument is the path,
// on a free port, after texts in it have been replaced: pairs of old and new.
func NginxShipped(tb testing.TB, folder string, replacements ...string) (addr string, p *Proc) {
	tb.Helper()
	dir := tb.TempDir()
	shipped, err := filepath.Glob(filepath.Join(folder, "*.conf"))
	if err != nil || len(shipped) == 0 {
		tb.Fatal("no shipped files", err)
	}
	addr = FreeAddr(tb)
	replace := strings.NewReplacer(append(replacements, "127.0.0.1:8081", addr)...)
	for _, file := range shipped {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), []byte(replace.Replace(string(text))), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	run := tb.TempDir()
	// Root's nginx hands its work to another user, who has to reach the folder.
	for d := run; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	return addr, NginxFile(tb, filepath.Join(dir, "nginx.conf"), run, addr)
}

// NginxHTTP returns a whole configuration around the text of an http block's inside: one unprivileged process that logs
// errors to standard error and keeps its temporary files in dir.
func NginxHTTP(dir, inside string) string {
	var b strings.Builder
	b.WriteString("master_process off;\nworker_processes 1;\nworker_rlimit_nofile 8192;\nerror_log stderr error;\n")
	fmt.Fprintf(&b, "pid %s/nginx.pid;\n", dir)
	b.WriteString("events { worker_connections 4096; }\nhttp {\naccess_log off;\n")
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&b, "%s_temp_path %s/tmp_%s;\n", kind, dir, kind)
	}
	b.WriteString(inside)
	b.WriteString("\n}\n")
	return b.String()
}
