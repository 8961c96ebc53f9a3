package server

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
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

// datagrams sends one to a server and returns those that come back, up to the number that their header says, in order.
func datagrams(t *testing.T, addr, datagram string) (all []string) {
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
	for total := 1; len(all) < total; {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatalf("%q: %v after %d datagrams", datagram, err, len(all))
		}
		all = append(all, string(buf[:n]))
		total = int(binary.BigEndian.Uint16(buf[4:]))
	}
	return all
}

// request is a datagram with a whole request.
func request(id uint16, text string) string {
	b := binary.BigEndian.AppendUint16(nil, id)
	return string(append(b, 0, 0, 0, 1, 0, 0)) + text
}

// message puts datagrams together again.
func message(t *testing.T, id uint16, all []string) string {
	t.Helper()
	var b strings.Builder
	for i, d := range all {
		if want := fmt.Sprint([]uint16{id, uint16(i), uint16(len(all)), 0}); len(d) < udpHeader || len(d) > udpSend ||
			fmt.Sprint([]uint16{binary.BigEndian.Uint16([]byte(d)), binary.BigEndian.Uint16([]byte(d[2:])),
				binary.BigEndian.Uint16([]byte(d[4:])), binary.BigEndian.Uint16([]byte(d[6:]))}) != want {
			t.Fatalf("a datagram of %d bytes that begins with %q, want %s", len(d), d[:min(len(d), udpHeader)], want)
		}
		b.WriteString(d[udpHeader:])
	}
	return b.String()
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
		want, got := datagrams(t, theirs, ask), datagrams(t, ours, ask)
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%.60q: %.200q, want %.200q", text, got, want)
		}
	}
}

func TestUDP(t *testing.T) {
	tcp, udp := startUDP(t, Config{}, store.Config{})
	c := dial(t, tcp)
	value := strings.Repeat("v", 100_000) // as many datagrams as a socket holds by default
	c.ask(t, fmt.Sprintf("set big 0 0 %d\r\n%s\r\nset a 0 0 1\r\nx\r\n", len(value), value), "STORED\r\nSTORED\r\n")
	const multi = "SERVER_ERROR multi-packet request not supported\r\n"
	for _, tt := range []struct{ ask, want string }{
		{request(7, "get a nothing a\r\n"), "VALUE a 0 1\r\nx\r\nVALUE a 0 1\r\nx\r\nEND\r\n"}, // one message, whatever it holds
		{request(7, "get a\r\nmn\r\n"), "VALUE a 0 1\r\nx\r\nEND\r\nMN\r\n"},
		{request(7, "get "+strings.Repeat("a ", 1000)+"\r\n"), strings.Repeat("VALUE a 0 1\r\nx\r\n", 1000) + "END\r\n"},
		{request(7, "get big\r\n"), fmt.Sprintf("VALUE big 0 %d\r\n%s\r\nEND\r\n", len(value), value)},
		{request(7, "get "+strings.Repeat("big ", 25)+"\r\n"), "SERVER_ERROR reply too large for UDP\r\n"},
		{request(7, "quit\r\nmn\r\n") + "\x00", ""},
		{"\x00\x07\x00\x00\x00\x02\x00\x00get a\r\n", multi},
		{"\x00\x07\x00\x00\x00\x00\x00\x00get a\r\n", multi},
		{request(7, "set half 0 0 100\r\nonly this"), ""},
		{request(7, "get a"), ""}, {request(7, ""), ""}, {"\x00\x07", ""}, {"", ""},
		{request(7, "set q 0 0 1 noreply\r\nx\r\n"), ""},
		{request(7, packet{op: quiet(protocol.OpGet), key: "nothing"}.String()), ""},
	} {
		if tt.want == "" { // no answer: the next one's comes
			conn, err := net.Dial("udp", udp)
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = io.WriteString(conn, tt.ask)
			_, _ = io.WriteString(conn, request(9, "mn\r\n"))
			buf := make([]byte, 100)
			if n, err := conn.Read(buf); err != nil || string(buf[:n]) != request(9, "MN\r\n") {
				t.Errorf("%.60q: %q, %v", tt.ask, buf[:n], err)
			}
			conn.Close()
			continue
		}
		if got := message(t, 7, datagrams(t, udp, tt.ask)); got != tt.want {
			t.Errorf("%.60q: %d bytes, %.100q, want %d, %.100q", tt.ask, len(got), got, len(tt.want), tt.want)
		}
	}
	var bigs strings.Builder
	for range 25 {
		bigs.WriteString(packet{op: protocol.OpGet, key: "big"}.String())
	}
	if r, err := readReply(strings.NewReader(message(t, 7, datagrams(t, udp, request(7, bigs.String()))))); err != nil || r.status != protocol.StatusTooLarge {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestUDPAtOnce(t *testing.T) {
	_, udp := startUDP(t, Config{Workers: 2}, store.Config{})
	var wg sync.WaitGroup
	for g := range 20 {
		wg.Go(func() {
			for i := range 20 {
				text := fmt.Sprintf("set k%d 0 0 2\r\n%02d\r\nget k%d\r\n", g, i, g)
				want := fmt.Sprintf("STORED\r\nVALUE k%d 0 2\r\n%02d\r\nEND\r\n", g, i)
				if got := message(t, uint16(i), datagrams(t, udp, request(uint16(i), text))); got != want {
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
