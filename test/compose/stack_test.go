//go:build compose

package compose

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"pagegate/internal/realproc"
)

// stack is docker-compose.yml under a project name of its own, on free ports.
type stack struct {
	t       *testing.T
	compose []string // the command
	project string
	env     []string
	// Where the host reaches nginx, the gateway and the admin page.
	nginx, gateway, admin string
}

// image is what the programs' image is called in this run: the user's pagegate:latest stays what it is.
var image = fmt.Sprintf("pagegate:test-%d", os.Getpid())

// newStack prepares a stack that is taken down with the test.
func newStack(t *testing.T, name string, compose []string) *stack {
	t.Helper()
	s := &stack{t: t, compose: compose, project: fmt.Sprintf("pagegate-test-%s-%d", name, os.Getpid())}
	s.nginx, s.gateway, s.admin = realproc.FreeAddr(t), realproc.FreeAddr(t), realproc.FreeAddr(t)
	_, adminPort, _ := strings.Cut(s.admin, ":")
	s.env = []string{"PAGEGATE_IMAGE=" + image, "NGINX_PORT=" + s.nginx, "GATEWAY_PORT=" + s.gateway, "ADMIN_PORT=" + adminPort,
		"COMPOSE_PROJECT_NAME=" + s.project}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := run(commandTimeout, s.env, s.compose[0], append(s.compose[1:], "logs", "--no-color", "--tail", "15")...)
			t.Log(out)
		}
		if _, err := s.try("down", "-v", "--remove-orphans", "--timeout", "20"); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *stack) try(args ...string) (string, error) {
	bound := commandTimeout
	if args[0] == "build" {
		bound = buildTimeout
	}
	return run(bound, s.env, s.compose[0], append(s.compose[1:], args...)...)
}

// do runs a command of compose; an error fails the test.
func (s *stack) do(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// containers returns the ids of a service's containers, in the order of their numbers; all services' without a name.
func (s *stack) containers(service ...string) []string {
	s.t.Helper()
	args := []string{"ps", "-a", "--no-trunc", "--filter", "label=com.docker.compose.project=" + s.project,
		"--format", `{{.Label "com.docker.compose.container-number"}} {{.ID}}`}
	for _, name := range service {
		args = append(args, "--filter", "label=com.docker.compose.service="+name)
	}
	lines := strings.Fields(docker(s.t, args...))
	ids := make([]string, 0, len(lines)/2)
	for number := 1; len(ids) < len(lines)/2; number++ {
		for i := 0; i < len(lines); i += 2 {
			if lines[i] == fmt.Sprint(number) {
				ids = append(ids, lines[i+1])
			}
		}
	}
	return ids
}

// waitHealthy waits until n containers are there and each of them is healthy.
func (s *stack) waitHealthy(n int) {
	s.t.Helper()
	realproc.WaitFor(s.t, patience, fmt.Sprintf("%d healthy containers", n), func() bool {
		ids := s.containers()
		if len(ids) != n {
			return false
		}
		out := docker(s.t, append([]string{"inspect", "--format", "{{.State.Running}} {{.State.Health.Status}}"}, ids...)...)
		return strings.Count(out+"\n", "true healthy\n") == n
	})
}

// logs is what a service's containers have said.
func (s *stack) logs(service string) string {
	s.t.Helper()
	return s.do("logs", "--no-color", service)
}
