package server

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pagegate/cacheserver/protocol"
	"pagegate/cacheserver/store"
	"pagegate/internal/realproc"
)

// startUDP is start with a UDP socket, whose address it returns too.
func startUDP(t *testing.T, cfg Config, sc store.Config) (tcp, udp string) {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	cfg.UDP = []*net.UDPConn{conn}
	tcp, _ = start(t, cfg, sc)
	return tcp, conn.LocalAddr().String()
}

// messages sends a datagram to a server and returns the messages of the answer, put together again: as many as wanted.
func messages(t *testing.T, addr, datagram string, wanted int) (all []string) {
	t.Helper()
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, datagram); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	var text strings.Builder
	for next := 0; len(all) < wanted; {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatalf("%.100q: %v after %d messages", datagram, err, len(all))
		}
		d := buf[:n]
		if n < udpHeader || n > udpSend || string(d[:2]) != datagram[:2] || int(binary.BigEndian.Uint16(d[2:])) != next || string(d[6:8]) != "\x00\x00" {
			t.Fatalf("%.100q: a datagram of %d bytes that begins with %q, want the %dth", datagram, n, d[:min(n, udpHeader)], next)
		}
		text.Write(d[udpHeader:])
		if next++; next < int(binary.BigEndian.Uint16(d[4:])) {
			continue
		}
		all = append(all, text.String())
		text.Reset()
		next = 0
	}
	return all
}

// request is a datagram with a whole request.
func request(id uint16, text string) string {
	b := binary.BigEndian.AppendUint16(nil, id)
	return string(append(b, 0, 0, 0, 1, 0, 0)) + text
}

func TestUDPSameAsMemcached(t *testing.T) {
	port := realproc.FreePort(t)
	theirs := fmt.Sprintf("127.0.0.1:%d", port)
	realproc.Memcached(t, "-U", fmt.Sprint(port))
	_, ours := startUDP(t, Config{}, store.Config{})
	big := strings.Repeat("0123456789", 500)
	for i, text := range []string{
		"set a 0 0 3\r\nabc\r\n", "get a\r\n", "get b\r\n", "delete a\r\n", "incr a 1\r\n", "nonsense\r\n", "mn\r\n",
		"set big 0 0 5000\r\n" + big + "\r\n", "get big\r\n",
		packet{op: protocol.OpSet, extras: noExtras, key: "n", value: "9"}.String(),
		packet{op: protocol.OpGet, key: "n"}.String(), packet{op: protocol.OpIncrement, extras: fromTen, key: "n"}.String(),
		packet{op: protocol.OpGetK, key: "big"}.String(), packet{op: protocol.OpDelete, key: "nothing"}.String(),
		packet{op: protocol.OpNoop}.String(), packet{op: protocol.OpGet, key: strings.Repeat("k", 251)}.String(),
	} {
		ask := request(uint16(i*4099), text)
		want, got := messages(t, theirs, ask, 1)[0], messages(t, ours, ask, 1)[0]
		if !modern(t) {
			want, got = withoutBinaryCAS(want), withoutBinaryCAS(got)
		}
		if got != want {
			t.Errorf("%.60q: %.200q, want %.200q", text, got, want)
		}
	}
	if !modern(t) { // 1.6.18 has put replies together
		return
	}
	// Each reply is a message of its own; an empty one goes out only if it is the first.
	for ask, wanted := range map[string]int{
		"get big nothing big\r\n": 2, "get nothing big\r\n": 2, "get x y z\r\n": 2, "get big\r\nnonsense\r\n": 2, "quit\r\n": 1,
		"mg x q\r\nget big\r\n": 1, "set n 0 0 1 noreply\r\n5\r\nincr n 1\r\n": 1,
		packet{op: quiet(protocol.OpGet), key: "nothing"}.String() + packet{op: protocol.OpNoop}.String(): 2,
	} {
		want, got := messages(t, theirs, request(7, ask), wanted), messages(t, ours, request(7, ask), wanted)
		if !slices.Equal(got, want) {
			t.Errorf("%.60q: %.200q, want %.200q", ask, got, want)
		}
	}
}

// withoutBinaryCAS is withoutCAS for what may be text.
func withoutBinaryCAS(text string) string {
	if strings.HasPrefix(text, "\x81") {
		return withoutCAS(text)
	}
	return text
}

func TestUDP(t *testing.T) {
	tcp, udp := startUDP(t, Config{}, store.Config{})
	c := dial(t, tcp)
	value := strings.Repeat("v", 100_000) // as many datagrams as a socket holds by default
	c.ask(t, fmt.Sprintf("set big 0 0 %d\r\n%s\r\nset a 0 0 1\r\nx\r\n", len(value), value), "STORED\r\nSTORED\r\n")
	for ask, want := range map[string][]string{
		"get a nothing a\r\n": {"VALUE a 0 1\r\nx\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n"},
		"get a\r\nmn\r\n":     {"VALUE a 0 1\r\nx\r\nEND\r\n", "MN\r\n"},
		"get big\r\n":         {fmt.Sprintf("VALUE big 0 %d\r\n%s\r\nEND\r\n", len(value), value)},
		"quit\r\nmn\r\n\x00":  {""},
		packet{op: quiet(protocol.OpGet), key: "nothing"}.String(): {""},
	} {
		if got := messages(t, udp, request(7, ask), len(want)); !slices.Equal(got, want) {
			t.Errorf("%.60q: %.200q, want %.200q", ask, got, want)
		}
	}
	for _, ask := range []string{ // these have no answer: the next one's comes
		"\x00\x07\x00\x00\x00\x02\x00\x00get a\r\n", "\x00\x07\x00\x00\x00\x00\x00\x00get a\r\n", request(7, "set half 0 0 100\r\nonly this"),
		request(7, "get a"), request(7, ""), "\x00\x07", "", request(7, "set q 0 0 1 noreply\r\nx\r\n"), request(7, "GET / HTTP/1.0\r\n"),
	} {
		conn, err := net.Dial("udp", udp)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(conn, ask)
		_, _ = io.WriteString(conn, request(9, "mn\r\n"))
		buf := make([]byte, 100)
		if n, err := conn.Read(buf); err != nil || string(buf[:n]) != request(9, "MN\r\n") {
			t.Errorf("%.60q: %q, %v", ask, buf[:n], err)
		}
		conn.Close()
	}
}

func TestUDPAtOnce(t *testing.T) {
	_, udp := startUDP(t, Config{Workers: 2}, store.Config{})
	var wg sync.WaitGroup
	for g := range 20 {
		wg.Go(func() {
			for i := range 20 {
				text := fmt.Sprintf("set k%d 0 0 2\r\n%02d\r\nget k%d\r\n", g, i, g)
				want := []string{"STORED\r\n", fmt.Sprintf("VALUE k%d 0 2\r\n%02d\r\nEND\r\n", g, i)}
				if got := messages(t, udp, request(uint16(i), text), 2); !slices.Equal(got, want) {
					t.Errorf("%q, want %q", got, want)
				}
			}
		})
	}
	wg.Wait()
}

// Nobody can authenticate himself over UDP.
func TestUDPNoAuthentication(t *testing.T) {
	for _, cfg := range []Config{
		{UDP: []*net.UDPConn{nil}, AuthFile: &AuthFile{}},
		{UDP: []*net.UDPConn{nil}, SASL: func(_, _ []byte) bool { return true }},
		{AuthFile: &AuthFile{}, SASL: func(_, _ []byte) bool { return true }},
	} {
		if _, err := New(cfg, nil, time.Now().Unix); err == nil {
			t.Errorf("%+v is no error", cfg)
		}
	}
}
