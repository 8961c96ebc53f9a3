package packaging

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The archive holds static programs that know their build, the checksums are right, and the same commit built in another place
// gives the same bytes.
func TestRelease(t *testing.T) {
	arch := runtime.GOARCH
	env := []string{"VERSION=" + oldVersion, "COMMIT=0123456789ab", "SOURCE_DATE_EPOCH=1767323045", "ARCHES=" + arch}
	dist := t.TempDir()
	run(t, root(t), env, "configs/package/release.sh", dist)
	run(t, dist, nil, "sha256sum", "--check", "--strict", "SHA256SUMS")
	name := "pagegate-" + oldVersion + "-linux-" + arch
	run(t, dist, nil, "tar", "-xzf", name+".tar.gz")
	for _, program := range []string{"cacheserver", "filler", "gateway"} {
		file := filepath.Join(dist, name, "pagegate-"+program)
		wantStatic(t, file, arch)
		out := run(t, dist, nil, file, "--version")
		if !strings.Contains(out, program+" 1.2.3 commit 0123456789ab of 2026-01-02T03:04:05Z, go1.") {
			t.Errorf("%s --version: %s", program, out)
		}
	}
	if _, err := os.Stat(filepath.Join(dist, name, "configs/systemd/pagegate-gateway.service")); err != nil {
		t.Error(err)
	}
	again := t.TempDir()
	run(t, copyOfTree(t), env, "configs/package/release.sh", again)
	if !bytes.Equal(read(t, filepath.Join(dist, name+".tar.gz")), read(t, filepath.Join(again, name+".tar.gz"))) {
		t.Error("the same tree in another folder gives another archive")
	}
}

// The other architecture is built too: the smallest program stands for all, since compiling everything anew takes a minute.
func TestOtherArchitecture(t *testing.T) {
	arch := map[string]string{"amd64": "arm64"}[runtime.GOARCH]
	if arch == "" {
		arch = "amd64"
	}
	dir := t.TempDir()
	run(t, root(t), nil, "configs/package/build.sh", arch, dir, "cacheserver")
	wantStatic(t, filepath.Join(dir, "pagegate-cacheserver"), arch)
}

func wantStatic(t *testing.T, file, arch string) {
	t.Helper()
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]; f.Machine != want {
		t.Errorf("%s is for %v, want %v", file, f.Machine, want)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is not static: it has %v", file, p.Type)
		}
	}
}

// copyOfTree is what git knows of the tree, as it stands, in a folder that is no git tree.
func copyOfTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root(t)
	names, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(names), "\x00"), "\x00") {
		from := filepath.Join(root(t), name)
		st, err := os.Stat(from)
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, read(t, from), st.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
