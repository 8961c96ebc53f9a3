package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

// What is wrong with ext_path and what belongs to it is said at the start.
func TestDiskOptions(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "ext")
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"ext_path", exitUsage, "want ext_path=FILE:SIZE"},
		{"ext_path=FILE", exitUsage, "want FILE:SIZE"},
		{"ext_path=:1g", exitUsage, "want FILE:SIZE"},
		{"ext_path=FILE:1g:default:more", exitUsage, "want FILE:SIZE"},
		{"ext_path=FILE:1GB", exitUsage, `"1GB" is no size`},
		{"ext_path=FILE:1k", exitUsage, `"1k" is no size`},
		{"ext_path=FILE:m", exitUsage, `"m" is no size`},
		{"ext_path=FILE:9999999p", exitUsage, "is no size"},
		{"ext_path=FILE:1g:nowhere", exitUsage, `no bucket "nowhere"`},
		{"ext_path=FILE:0m", exitUsage, "less than a page of 64 MiB"},
		{"ext_path=FILE:32m", exitUsage, "less than a page of 64 MiB"},
		{"ext_path=FILE:64m -I 8m", exitUsage, "at most ext_wbuf_size, which is 4 MiB"},
		{"ext_path=FILE:64m -U 0", exitFailed, "unknown user"}, // that it is off is in order
		{"ext_path=FILE:64m -U 5", exitUsage, "-U 5: not with ext_path"},
		{"ext_path=FILE:64m,ext_page_size=x", exitUsage, "want a number"},
		{"ext_path=FILE:64m,ext_page_size=7", exitFailed, "whole write buffers"},
		{"ext_path=FILE:64m,ext_page_size=3,ext_wbuf_size=3", exitFailed, "units of 2 MiB"},
		{"ext_path=FILE:64m,ext_threads=0", exitUsage, "want a number from 1"},
		{"ext_path=FILE:64m,ext_item_age=-1", exitUsage, "want a number from 0"},
		{"ext_path=FILE:64m,ext_max_frag=much", exitUsage, "want a number"},
		{"ext_path=FILE/no/such:64m", exitFailed, "-o ext_path: "},
		{"ext_path=FILE:64p", exitFailed, "want at most 65534"},
	} {
		args := append(strings.Fields("-l 127.0.0.1 -p -1 -u no_such_user -o "), strings.Fields(strings.ReplaceAll(tt.args, "FILE", file))...)
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, &out, &errs); code != tt.code || !strings.Contains(errs.String(), tt.want) {
			t.Errorf("%s: exit code %d, %s; want %d, %q", tt.args, code, errs.String(), tt.code, tt.want)
		}
	}
}

func TestDiskSettings(t *testing.T) {
	o, err := parseFlags([]string{"-o", "ext_path=/a:1g,ext_path=/b:2T:old,ext_item_age=7,ext_max_frag=0.5,ext_drop_unread", "-o", "ext_wbuf_size=8,ext_low_ttl=60"})
	if err != nil {
		t.Fatal(err)
	}
	if f := o.ext.disk.files; len(f) != 2 || f[0].Path != "/a" || f[0].Size != 1<<30 || f[1].Size != 2<<40 || f[1].Home != buckets["old"] {
		t.Errorf("%+v", f)
	}
	got := make(map[string]string)
	for _, s := range o.settings() {
		got[s[0]] = s[1]
	}
	for name, want := range map[string]string{
		"ext_item_size": "512", "ext_item_age": "7", "ext_low_ttl": "60", "ext_recache_rate": "2000", "ext_wbuf_size": "8388608",
		"ext_max_sleep": "1000000", "ext_max_frag": "0.50", "ext_drop_unread": "yes",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if o, err = parseFlags(nil); err != nil {
		t.Fatal(err)
	}
	for _, s := range o.settings() {
		if s[0] == "ext_item_age" && s[1] != "4294967295" {
			t.Errorf("%v", s)
		}
	}
}

// The program as a whole: a value goes to its file and comes back from there, and a second program keeps off the file.
func TestDisk(t *testing.T) {
	addr, file := realproc.FreeAddr(t), filepath.Join(t.TempDir(), "ext")
	options := "ext_path=" + file + ":64m,ext_page_size=8,ext_wbuf_size=2,ext_item_age=0,no_lru_maintainer"
	memory := filepath.Join(t.TempDir(), "memory")
	l := started(t, "-l", addr, "-o", options, "-e", memory)
	value := strings.Repeat("0123456789", 3_000)
	ask(t, "tcp", addr, "set a 3 0 30000\r\n"+value+"\r\n", "STORED\r\n")
	stats := func() string {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprint(c, "stats\r\nquit\r\n")
		text, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	realproc.WaitFor(t, 20*time.Second, "the value to go to disk", func() bool { return strings.Contains(stats(), "extstore_objects_used 1\r\n") })
	ask(t, "tcp", addr, "get a\r\n", "VALUE a 3 30000\r\n"+value+"\r\nEND\r\n")
	if s := stats(); !strings.Contains(s, "get_extstore 1\r\n") || !strings.Contains(s, "miss_from_extstore 0\r\n") {
		t.Error(s)
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"-l", realproc.FreeAddr(t), "-o", options}, &out, &errs); code != exitFailed || !strings.Contains(errs.String(), "another process uses it") {
		t.Errorf("a second program: exit code %d, %s", code, errs.String())
	}
	ask(t, "tcp", addr, "get a\r\n", "VALUE a 3 30000\r\n"+value+"\r\nEND\r\n")
	if !strings.Contains(l.String(), "-e keeps no items over a restart") {
		t.Error(l)
	}
}
