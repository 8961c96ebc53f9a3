package flow

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"pagegate/internal/config"
)

// commands are what the programs do besides serving, by the word that asks for it. Each defines its flags, has them parsed, and
// does its work; an error is told on standard error.
var commands = map[string]func(context.Context, *command) error{
	"purge":   purgeCommand,
	"explain": explainCommand,
	"warm":    warmCommand,
	"health":  healthCommand,
	"demo":    demoCommand,
}

// command is one that has been asked for, with its flags.
type command struct {
	*pflag.FlagSet
	program        config.Program
	args           []string
	stdout, stderr io.Writer
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

// runCommand runs the command that args begin with and returns its exit code; ok is false if they begin with none.
func runCommand(ctx context.Context, p config.Program, args []string, stdout, stderr io.Writer) (code int, ok bool) {
	if len(args) == 0 || commands[args[0]] == nil {
		return 0, false
	}
	name := string(p) + " " + args[0]
	c := &command{pflag.NewFlagSet(name, pflag.ContinueOnError), p, args[1:], stdout, stderr}
	c.SortFlags = false
	c.Usage = func() {}
	var usage usageError
	switch err := commands[args[0]](ctx, c); {
	case err == nil, errors.Is(err, pflag.ErrHelp):
		return exitOK, true
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "%s: %v; %s --help lists the flags\n", name, err, name)
		return exitUsage, true
	default:
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return exitFailed, true
	}
}

// parse reads the command line, or prints the help that about and the names of the arguments begin. A command that names no
// arguments takes none. An error is the command's own.
func (c *command) parse(about, arguments string) error {
	switch err := c.Parse(c.args); {
	case errors.Is(err, pflag.ErrHelp):
		if arguments != "" {
			arguments = " " + arguments
		}
		fmt.Fprintf(c.stdout, "%s\n\nUsage: %s [flags]%s\n\n%s", about, c.Name(), arguments, c.FlagUsagesWrapped(100))
		return err
	case err != nil:
		return usageError{err}
	case arguments == "" && c.NArg() > 0:
		return usageError{fmt.Errorf("unexpected argument %q", c.Arg(0))}
	}
	return nil
}
