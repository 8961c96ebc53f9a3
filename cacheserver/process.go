package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pagegate/cacheserver/server"
)

// daemonEnv marks the process that -d has started; starterFD is where it tells how its start went.
const (
	daemonEnv = "CACHESERVER_DAEMON"
	starterFD = 3
	// daemonTimeout bounds the wait for a start.
	daemonTimeout = 30 * time.Second
	startedWell   = "listening"
)

func isDaemon() bool { return os.Getenv(daemonEnv) != "" }

// daemonize starts the program anew in the background and waits until that listens. The runtime has threads by now, so it
// cannot just fork. Relative paths keep their meaning: the folder stays the same.
func daemonize(args []string, keepOutput bool, stderr io.Writer) int {
	told, err := startDaemon(args, keepOutput)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "cacheserver: -d: %v\n", err)
	case told != startedWell:
		fmt.Fprintf(stderr, "cacheserver: %s\n", told)
	default:
		return exitOK
	}
	return exitFailed
}

// startDaemon returns what the process in the background tells about its start.
func startDaemon(args []string, keepOutput bool) (told string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), daemonEnv+"=1")
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if keepOutput {
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return "", err
	}
	_ = r.SetReadDeadline(time.Now().Add(daemonTimeout))
	b, err := io.ReadAll(r)
	if err != nil {
		return "", errors.Join(err, cmd.Process.Kill())
	}
	if len(b) == 0 {
		return "", errors.New("it ended without a word; start it without -d to see why")
	}
	return string(b), nil
}

// tellStarter tells who waits for a daemon that it listens, or why it does not.
func tellStarter(err error) {
	if !isDaemon() {
		return
	}
	f := os.NewFile(starterFD, "starter")
	if f == nil {
		return
	}
	text := startedWell
	if err != nil {
		text = err.Error()
	}
	_, _ = f.WriteString(text)
	f.Close()
}

// writePID writes the process's number to a file. One that names a running process is overwritten too, as memcached does: it
// may be left from before the machine was restarted.
func writePID(file string) error {
	text := strconv.Itoa(os.Getpid()) + "\n"
	if err := os.WriteFile(file+".tmp", []byte(text), 0o644); err != nil {
		return fmt.Errorf("-P %s: %w", file, err)
	}
	if err := os.Rename(file+".tmp", file); err != nil {
		return fmt.Errorf("-P %s: %w", file, err)
	}
	return nil
}

// process does what -k and -r ask for. Where the system refuses it says so and goes on, as memcached.
func (o *options) process(stderr io.Writer) {
	if o.lockMemory {
		if err := lockMemory(); err != nil {
			fmt.Fprintf(stderr, "cacheserver: -k: the memory cannot be locked: %v\n", err)
		}
	}
	if o.coreDumps {
		debug.SetTraceback("crash")
		var limit unix.Rlimit
		err := unix.Getrlimit(unix.RLIMIT_CORE, &limit)
		limit.Cur = limit.Max
		if err := errors.Join(err, unix.Setrlimit(unix.RLIMIT_CORE, &limit)); err != nil || limit.Max == 0 {
			fmt.Fprintf(stderr, "cacheserver: -r: the system allows no core files %v (see RLIMIT_CORE)\n", err)
		}
	}
}

// lockMemory keeps what memory is used, now or later, from being swapped out; what is only reserved is not there to be locked.
func lockMemory() error {
	const onFault = 4 // MCL_ONFAULT
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return err
	}
	if os.Geteuid() != 0 && limit.Cur != unix.RLIM_INFINITY {
		return errors.New("RLIMIT_MEMLOCK has to be unlimited, else the program would die when it reaches it")
	}
	return unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | onFault)
}

// reloader returns what reads the files of -Y and -Z again; nil if there are none.
func reloader(users *server.AuthFile, certs *certificates) func() error {
	if users == nil && certs == nil {
		return nil
	}
	return func() (err error) {
		if users != nil {
			err = users.Reload()
		}
		if certs != nil {
			err = errors.Join(err, certs.reload())
		}
		return err
	}
}

// onHangup calls reload at every SIGHUP until the function that it returns is called.
func onHangup(reload func() error, stderr io.Writer) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range hangups {
			if reload == nil {
				continue
			}
			if err := reload(); err != nil {
				fmt.Fprintf(stderr, "cacheserver: SIGHUP: %s; what was read before stays\n", strings.ReplaceAll(err.Error(), "\n", "; "))
			}
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-done
	}
}
