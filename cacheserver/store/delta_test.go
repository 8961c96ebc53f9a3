package store

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"

	"pagegate/internal/realproc"
)

func TestDelta(t *testing.T) {
	const (
		incr = false
		decr = true
	)
	for _, tt := range []struct {
		value  string
		delta  uint64
		decr   bool
		want   string
		status Status
	}{
		{"9", 1, incr, "10", Stored},
		{"99", 1, incr, "100", Stored},
		{"10", 1, decr, "9 ", Stored},
		{"10", 11, decr, "0 ", Stored},
		{"18446744073709551615", 1, incr, "0                   ", Stored},
		{"18446744073709551615", 18446744073709551615, incr, "18446744073709551614", Stored},
		{"", 1, incr, "", NonNumeric},
		{"one", 1, incr, "one", NonNumeric},
	} {
		s := newStore(t, Config{})
		put(s, Set, "n", []byte(tt.value), 3, 2_000_000, 0)
		_, cas, status := s.Delta([]byte("n"), tt.delta, tt.decr, 0)
		it, _ := s.Get([]byte("n"))
		if got := string(valueOf(it)); got != tt.want || status != tt.status {
			t.Errorf("%q by %d: %q, status %d; want %q, %d", tt.value, tt.delta, got, status, tt.want, tt.status)
		}
		if it.Flags() != 3 || it.Exptime() != 2_000_000 || (status == Stored && it.CAS() != cas) {
			t.Errorf("%q: flags %d, exptime %d, CAS id %d (got %d)", tt.value, it.Flags(), it.Exptime(), it.CAS(), cas)
		}
		it.Release()
	}
}

func TestDeltaWithCAS(t *testing.T) {
	s := newStore(t, Config{})
	id := set(t, s, "n", []byte("1"))
	if _, _, status := s.Delta([]byte("n"), 1, false, id+1); status != Exists {
		t.Errorf("another id: status %d", status)
	}
	value, newID, status := s.Delta([]byte("n"), 1, false, id)
	if value != 2 || newID <= id || status != Stored {
		t.Errorf("the id: %d, id %d, status %d", value, newID, status)
	}
	if _, _, status := s.Delta([]byte("absent"), 1, false, id); status != NotFound {
		t.Errorf("missing item: status %d", status)
	}
}

// TestNumbersAreMemcacheds asks the real program what it takes for a number.
func TestNumbersAreMemcacheds(t *testing.T) {
	addr, _ := realproc.Memcached(t)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	replies := bufio.NewReader(conn)
	ask := func(command string) string {
		t.Helper()
		if _, err := conn.Write([]byte(command)); err != nil {
			t.Fatal(err)
		}
		line, err := replies.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimRight(line, "\r\n")
	}
	s := newStore(t, Config{})
	for _, value := range []string{
		"", "5", "  5", "5  ", "+5", "-5", "-0", "--5", "+ 5", "5 x", "5x", "5\tx", "0x5", "007", "5.0", "1e3", "five", "\n", " 5\n",
		"18446744073709551615", "18446744073709551616", "99999999999999999999", "-9223372036854775808",
		"-9223372036854775809", "-18446744073709551615", "-18446744073709551616", strings.Repeat("0", 19) + "1",
		strings.Repeat("0", 20) + "1", strings.Repeat("0", 21) + "1", strings.Repeat("0", 22) + "1", strings.Repeat("0", 30),
	} {
		set(t, s, "n", []byte(value))
		n, _, status := s.Delta([]byte("n"), 1, false, 0)
		ours := fmt.Sprint(n)
		if status == NonNumeric {
			ours = "CLIENT_ERROR cannot increment or decrement non-numeric value"
		}
		ask(fmt.Sprintf("set n 0 0 %d\r\n%s\r\n", len(value), value))
		if theirs := ask("incr n 1\r\n"); ours != theirs {
			t.Errorf("%q: %q, memcached says %q", value, ours, theirs)
		}
	}
}
