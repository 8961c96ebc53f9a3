//go:build compose

// Package compose brings docker-compose.yml up as it stands on the machine's Docker engine, and tries what it promises: pages
// through both doors, no failed request while containers come and go, and no more rights than are written there. It is run by
// `make test-compose` alone (build tag compose), since it needs an engine, and takes minutes.
package compose

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// repository is where docker-compose.yml lies.
	repository = "../.."
	// buildTimeout bounds what is built: the base images, the compose plugin, the programs' image.
	buildTimeout = 15 * time.Minute
	// commandTimeout bounds any other command of the engine.
	commandTimeout = 3 * time.Minute
	// patience bounds a wait for something that takes a few seconds.
	patience = time.Minute
)

// run runs a command in the repository within a bound and returns what it printed.
func run(bound time.Duration, env []string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = repository, append(os.Environ(), env...)
	cmd.WaitDelay = 5 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), nil
}

// docker asks the engine; an error fails the test.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := run(commandTimeout, nil, "docker", args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// prepare makes the base images ready, where no registry gives them from Debian's packages, and returns the command of the
// compose plugin, which is built where it is not installed. Both take minutes the first time, and so run at once.
func prepare(t *testing.T) (plugin []string) {
	t.Helper()
	var images sync.WaitGroup
	var imagesErr error
	images.Go(func() {
		var out string
		out, imagesErr = run(buildTimeout, nil, "test/compose/images.sh")
		fmt.Print(out)
	})
	plugin = []string{"docker", "compose"}
	if _, err := run(commandTimeout, nil, "docker", "compose", "version"); err != nil {
		bin, err := filepath.Abs(filepath.Join(t.TempDir(), "docker-compose"))
		if err != nil {
			t.Fatal(err)
		}
		plugin = []string{bin}
		if _, err := run(buildTimeout, nil, "go", "build", "-modfile=test/compose/compose.mod", "-o", bin, "github.com/docker/compose/v2/cmd"); err != nil {
			t.Error(err)
		}
	}
	images.Wait()
	if imagesErr != nil {
		t.Error(imagesErr)
	}
	if t.Failed() {
		t.FailNow()
	}
	return plugin
}
