package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

// warmServer is the real program with -e, started again and again.
type warmServer struct {
	bin, file string
	*realproc.Proc
	addr string
}

func newWarmServer(t *testing.T) *warmServer {
	t.Helper()
	dir := t.TempDir()
	w := &warmServer{bin: filepath.Join(dir, "cacheserver"), file: filepath.Join(dir, "memory")}
	if out, err := exec.Command("go", "build", "-o", w.bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return w
}

// start starts the program and waits until it listens.
func (w *warmServer) start(t *testing.T, flags ...string) {
	t.Helper()
	w.addr = realproc.FreeAddr(t)
	w.Proc = realproc.StartCmd(t, exec.Command(w.bin, append([]string{"-l", w.addr, "-e", w.file, "-A", "-u", "root"}, flags...)...))
	w.WaitListen(t, w.addr)
}

// says fails unless the program has logged a text.
func (w *warmServer) says(t *testing.T, want string) {
	t.Helper()
	if !strings.Contains(w.Output(), want) {
		t.Errorf("%q is missing in %q", want, w.Output())
	}
}

// stop ends the program by a signal.
func (w *warmServer) stop(t *testing.T, sig os.Signal) {
	t.Helper()
	must(t, w.Signal(sig))
	if code := w.Wait(t, 30*time.Second); sig != os.Kill && code != exitOK {
		t.Errorf("exit code %d: %s", code, w.Output())
	}
}

func (w *warmServer) ask(t *testing.T, text, want string) {
	t.Helper()
	ask(t, "tcp", w.addr, text, want)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// SIGUSR1 and shutdown graceful leave the items to the next start: values, chained ones too, flags, CAS ids, and what is left of the
// time to live. Any other end, and another configuration, does not.
func TestWarmRestart(t *testing.T) {
	w := newWarmServer(t)
	big := strings.Repeat("0123456789abcdef", 200_000)
	store := fmt.Sprintf("set big 7 0 %d\r\n%s\r\nset a 1 0 1\r\nx\r\nset a 2 1000 3\r\nabc\r\nset short 0 1 1\r\ns\r\n", len(big), big)
	w.start(t, "-I", "8m")
	if out := w.Output(); out != "" {
		t.Errorf("the first start says %q", out)
	}
	w.ask(t, store, strings.Repeat("STORED\r\n", 4))
	for _, end := range []func(){
		func() { w.stop(t, syscall.SIGUSR1) },
		func() {
			c, err := net.Dial("tcp", w.addr)
			must(t, err)
			defer c.Close()
			_, err = io.WriteString(c, "shutdown graceful\r\n")
			must(t, err)
			w.Wait(t, 30*time.Second)
		},
	} {
		end()
		w.says(t, "items saved")
		w.start(t, "-I", "8m")
		w.says(t, "items are there again")
		w.ask(t, "gets big\r\ngets a\r\n", fmt.Sprintf("VALUE big 7 %d 2\r\n%s\r\nEND\r\nVALUE a 2 3 4\r\nabc\r\nEND\r\n", len(big), big))
		w.ask(t, "mg a t\r\n", "HD t")
	}
	realproc.WaitFor(t, 20*time.Second, "the short-lived item to go", func() bool {
		c, err := net.Dial("tcp", w.addr)
		must(t, err)
		defer c.Close()
		_, _ = io.WriteString(c, "get short\r\n")
		line, _ := bufio.NewReader(c).ReadString('\n')
		return line == "END\r\n"
	})
	w.stop(t, syscall.SIGUSR1)
	w.start(t, "-I", "4m")
	w.says(t, "starting without items: its largest item (-I) is 8388608, now it is 4194304")
	w.ask(t, "get a\r\n", "END\r\n")
	w.ask(t, "set b 0 0 1\r\nx\r\n", "STORED\r\n")
	w.stop(t, syscall.SIGTERM)
	w.start(t)
	w.says(t, "starting without items: there is no .meta beside it")
	w.ask(t, "get b\r\n", "END\r\n")
	second := exec.Command(w.bin, "-l", realproc.FreeAddr(t), "-e", w.file)
	if out, err := second.CombinedOutput(); err == nil || !strings.Contains(string(out), "another process uses it") {
		t.Errorf("%v: %s", err, out)
	}
}

// value is what a key's value has to be, whoever wrote it and when.
func value(key string) string { return strings.Repeat(key+" ", 10+len(key)*len(key)) }

// hammer stores and deletes items over a few connections until the server is gone.
func hammer(t *testing.T, addr string) (wait func()) {
	var running sync.WaitGroup
	for n := range 4 {
		running.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(60 * time.Second))
			running.Go(func() { _, _ = io.Copy(io.Discard, c) })
			for i := 0; ; i++ {
				key := fmt.Sprintf("%0*d", 1+i%20, n+4*(i/20%100))
				text := value(key)
				if _, err := fmt.Fprintf(c, "set %s 0 0 %d\r\n%s\r\nincr count 1\r\ndelete %d\r\n", key, len(text), text, i); err != nil {
					return
				}
			}
		})
	}
	return running.Wait
}

// readAll gets the keys that hammer may have stored, and returns how many are there: not one may have a value that is not its own.
func readAll(t *testing.T, addr string) (found int) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	must(t, err)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	r := bufio.NewReader(c)
	for digits := 1; digits <= 20; digits++ {
		var line strings.Builder
		for number := range 400 {
			fmt.Fprintf(&line, " %0*d", digits, number)
		}
		_, err := fmt.Fprintf(c, "get%s\r\n", line.String())
		must(t, err)
		for {
			head, err := r.ReadString('\n')
			must(t, err)
			if head == "END\r\n" {
				break
			}
			found++
			key := strings.Fields(head)[1]
			want := fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\n", key, len(value(key)), value(key))
			got := make([]byte, len(want)-len(head))
			_, err = io.ReadFull(r, got)
			must(t, err)
			if head+string(got) != want {
				t.Fatalf("%.60q has a value that is not its own", head)
			}
		}
	}
	return found
}

// A crash in the midst of writing is a cold start; one in the midst of saving, or of starting, a cold one or a warm one, and whatever
// is there is right.
func TestCrashes(t *testing.T) {
	w := newWarmServer(t)
	w.start(t)
	wait := hammer(t, w.addr)
	realproc.WaitFor(t, 20*time.Second, "something to be stored", func() bool { return readAll(t, w.addr) > 100 })
	w.Kill()
	wait()
	w.start(t)
	w.says(t, "starting without items: there is no .meta")
	if n := readAll(t, w.addr); n != 0 {
		t.Errorf("%d items after a crash", n)
	}
	warm := 0
	for round := range 6 {
		wait := hammer(t, w.addr)
		realproc.WaitFor(t, 20*time.Second, "something to be stored", func() bool { return readAll(t, w.addr) > 100 })
		must(t, w.Signal(syscall.SIGUSR1))
		// Somewhere in the midst of it; now and then behind it.
		select {
		case <-w.Done():
		case <-time.After(time.Duration(rand.Int64N(int64(60 * time.Millisecond)))):
			w.Kill()
		}
		wait()
		if round%3 == 0 { // in the midst of a start
			w.Proc = realproc.StartCmd(t, exec.Command(w.bin, "-l", realproc.FreeAddr(t), "-e", w.file))
			select {
			case <-w.Done():
			case <-time.After(time.Duration(rand.Int64N(int64(30 * time.Millisecond)))):
				w.Kill()
			}
		}
		w.start(t)
		found := readAll(t, w.addr)
		if restored := strings.Contains(w.Output(), "are there again"); restored != (found > 0) {
			t.Errorf("%d items, and %q", found, w.Output())
		} else if restored {
			warm++
		}
	}
	t.Logf("%d warm starts", warm)
}
