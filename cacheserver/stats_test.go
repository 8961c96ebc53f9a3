package main

import (
	"bufio"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

// Names that memcached 1.6.18 has and 1.6.45 has not, or the other way round, and the disk tier's, which Debian builds without.
var changedStats = regexp.MustCompile(`^(slab_reassign_evictions_nomem|slab_reassign_busy_nomem|slab_reassign_last_busy_status|ssl_.*|num_napi_ids|` +
	`client_flags_size|drop_privileges|memory_file|slab_automove_freeratio|ext_.*|sizes_status)$`)

// statNames returns the names that a server answers to a stats command, in order, with the numbers of sockets left out.
func statNames(t *testing.T, addr, command string) (names []string) {
	t.Helper()
	var c net.Conn
	realproc.WaitFor(t, 20*time.Second, "the server to listen on "+addr, func() (ok bool) {
		var err error
		c, err = net.Dial("tcp", addr)
		return err == nil
	})
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, "set a:1 0 0 1\r\nx\r\nset b 0 100 300\r\n"+strings.Repeat("y", 300)+"\r\nget a:1 nothing\r\n"+command+"\r\nquit\r\n"); err != nil {
		t.Fatal(err)
	}
	number := regexp.MustCompile(`^\d+:`)
	for lines := bufio.NewScanner(c); lines.Scan(); {
		w := strings.Fields(lines.Text())
		switch {
		case len(w) < 2 || w[0] != "STAT" && w[0] != "PREFIX":
		case strings.HasSuffix(command, "conns"):
			names = append(names, number.ReplaceAllString(w[1], "N:"))
		default:
			names = append(names, w[1])
		}
	}
	return names
}

// Each list of statistics has memcached's names in its order, whatever the flags.
func TestStatsSameAsMemcached(t *testing.T) {
	now := realproc.MemcachedVersion(t) >= "1.6.45"
	for _, flags := range [][]string{
		nil, {"-o", "no_lru_maintainer,no_lru_crawler,no_slab_reassign"}, {"-o", "track_sizes,idle_timeout=60"}, {"-o", "modern"}, {"-o", "no_modern"},
		{"-M", "-C", "-F", "-W", "-A", "-D", ";", "-R", "5", "-t", "2", "-m", "128", "-I", "2m", "-n", "100", "-f", "1.5", "-B", "ascii"},
	} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			theirs, _ := realproc.Memcached(t, flags...)
			port := strconv.Itoa(realproc.FreePort(t))
			ours := "127.0.0.1:" + port
			started(t, append([]string{"-l", "127.0.0.1", "-p", port}, flags...)...)
			for _, command := range []string{"stats", "stats settings", "stats items", "stats slabs", "stats sizes", "stats conns", "stats detail dump"} {
				want, got := statNames(t, theirs, command), statNames(t, ours, command)
				if !now {
					changed := func(name string) bool { return changedStats.MatchString(name) }
					want, got = slices.DeleteFunc(want, changed), slices.DeleteFunc(got, changed)
				}
				// The disk tier's settings are only there in a memcached that is built with it.
				disk := func(name string) bool { return strings.HasPrefix(name, "ext_") || name == "slab_automove_freeratio" }
				if want, got = slices.DeleteFunc(want, disk), slices.DeleteFunc(got, disk); !slices.Equal(want, got) {
					t.Errorf("%s\ncacheserver %q\nmemcached   %q", command, got, want)
				}
			}
		})
	}
}
