// Package e2e runs the programs as a user would, from their binaries, against real nginx, real memcached, real PHP, and
// looks at what comes out at the two doors and how often the backend was asked.
package e2e

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"pagegate/internal/realproc"
)

// bin is the folder with the programs, built once.
var bin string

func TestMain(m *testing.M) {
	os.Exit(realproc.WithPrograms(func(dir string) int {
		bin = dir
		code := m.Run()
		if code == 0 {
			if err := goleak.Find(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		return code
	}))
}
