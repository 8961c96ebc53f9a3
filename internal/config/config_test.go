package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Each file of testdata/bad has its exact error beside it.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	t.Chdir("testdata/bad")
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			want, err := os.ReadFile(strings.TrimSuffix(name, ".yaml") + ".err")
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(Gateway, []string{"--config", name}, new(bytes.Buffer))
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(strings.TrimSpace(string(want)), err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBadFlags(t *testing.T) {
	for _, tt := range []struct {
		program Program
		args    string
		want    string
	}{
		{Gateway, "--nope", "unknown flag: --nope; gateway --help lists the flags"},
		{Gateway, "--backend demo: extra", `unexpected argument "extra"`},
		{Gateway, "--backend demo: --ttl soon", `"soon" is no time span`},
		{Gateway, "--backend ftp://x", "want demo:, http://host:port"},
		{Gateway, "--backend file://dir", "three slashes"},
		{Gateway, "--backend demo: --memory 1kB", "memory: 1000B is too little"},
		{Gateway, "--backend demo: --key $nope", "key: key template"},
		{Filler, "--backend demo:", "a filler needs the cache servers"},
		{Filler, "--backend demo: --cache 127.0.0.1:1 --memory 1MiB", "unknown flag: --memory"},
		{Filler, "--backend demo: --cache unix:rel.sock", "absolute path"},
		{Gateway, "--config /nonexistent.yaml", "no such file"},
	} {
		_, err := Parse(tt.program, strings.Fields(tt.args), new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: %v\nwant %s", tt.program, tt.args, err, tt.want)
		}
	}
}

func TestFlagBeatsFileBeatsDefault(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	text := "backend: http://127.0.0.1:1\nttl: 5s\ncache:\n  servers: [127.0.0.1:11211, \"127.0.0.1:11212 weight=2\"]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, err := Parse(Gateway, []string{"--cache", "127.0.0.1:3", "--config", file, "--backend", "demo:"}, new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	c := cmd.Config
	if c.Backend != "demo:" || time.Duration(c.TTL) != 5*time.Second || c.Listen != "127.0.0.1:8080" {
		t.Errorf("%+v", c)
	}
	if diff := cmp.Diff(List{"127.0.0.1:3"}, c.Cache.Servers); diff != "" {
		t.Error(diff)
	}
}

func TestHelpNamesEveryFlagWithItsDefault(t *testing.T) {
	for p, flags := range map[Program][]string{
		Filler:  {"--listen", "127.0.0.1:8082", "--backend", "--cache", "--ttl time", "1m0s", "--config", "--check"},
		Gateway: {"--listen", "127.0.0.1:8080", "--memory size", "64MiB", "--admin", "--stale time", "--key", "$uri?$args"},
	} {
		var out bytes.Buffer
		cmd, err := Parse(p, []string{"--help"}, &out)
		if err != nil || !cmd.Help {
			t.Fatal(cmd, err)
		}
		for _, want := range flags {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s --help does not say %q:\n%s", p, want, out.String())
			}
		}
	}
}

func TestServersWithWeights(t *testing.T) {
	servers, err := Cache{Servers: List{"a:1", "unix:/x weight=3 down"}}.RingServers()
	if err != nil || len(servers) != 2 || servers[1].Weight != 3 || !servers[1].Down || servers[0].Weight != 1 {
		t.Errorf("%+v, %v", servers, err)
	}
}

// The files in configs/ are valid as they ship.
func TestShippedFiles(t *testing.T) {
	for p, file := range map[Program]string{Gateway: "gateway.yaml", Filler: "filler.yaml"} {
		if _, err := Parse(p, []string{"--config", "../../configs/" + file}, new(bytes.Buffer)); err != nil {
			t.Error(err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("testdata/bad/*.yaml")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := Default(Gateway)
		if at, err := c.Load(file); err == nil {
			_ = c.Validate(Gateway, at)
		}
	})
}
