package server

import (
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pagegate/cacheserver/protocol"
	"pagegate/cacheserver/store"
	"pagegate/internal/realproc"
)

// packet is a request of the binary protocol.
type packet struct {
	op                 protocol.Opcode
	extras, key, value string
	cas                uint64
	opaque             uint32
}

func (p packet) String() string {
	b := []byte{protocol.BinaryRequestMagic, byte(p.op)}
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.key)))
	b = append(b, byte(len(p.extras)), 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.extras)+len(p.key)+len(p.value)))
	b = binary.BigEndian.AppendUint32(b, p.opaque)
	b = binary.BigEndian.AppendUint64(b, p.cas)
	return string(b) + p.extras + p.key + p.value
}

// reply is a response of the binary protocol.
type reply struct {
	op                 protocol.Opcode
	status             protocol.Status
	extras, key, value string
	cas                uint64
	opaque             uint32
}

// readReply reads one response.
func readReply(r io.Reader) (p reply, err error) {
	var h [protocol.BinaryHeaderLen]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return p, err
	}
	if h[0] != protocol.BinaryResponseMagic {
		return p, fmt.Errorf("%q does not begin as a response", h)
	}
	p.op, p.status = protocol.Opcode(h[1]), protocol.Status(binary.BigEndian.Uint16(h[6:]))
	p.opaque, p.cas = binary.BigEndian.Uint32(h[12:]), binary.BigEndian.Uint64(h[16:])
	body := make([]byte, binary.BigEndian.Uint32(h[8:]))
	if _, err := io.ReadFull(r, body); err != nil {
		return p, err
	}
	extras, key := int(h[4]), int(binary.BigEndian.Uint16(h[2:]))
	p.extras, p.key, p.value = string(body[:extras]), string(body[extras:extras+key]), string(body[extras+key:])
	return p, nil
}

// quiet gives an opcode's quiet form.
func quiet(op protocol.Opcode) protocol.Opcode {
	for q := range protocol.Opcode(0xff) {
		if same, isQuiet := q.Loud(); isQuiet && same == op {
			return q
		}
	}
	panic("no quiet form")
}

// command sends a request and a noop behind it, and returns what is answered before the noop's reply.
func (c *client) command(t testing.TB, p packet) (all []reply) {
	t.Helper()
	if _, err := io.WriteString(c, p.String()+packet{op: protocol.OpNoop, opaque: 0xffff}.String()); err != nil {
		t.Fatal(err)
	}
	for {
		r, err := readReply(c.r)
		if err != nil {
			t.Fatal(err)
		}
		if r.opaque == 0xffff {
			return all
		}
		all = append(all, r)
	}
}

const (
	noExtras    = "\x00\x00\x00\x00\x00\x00\x00\x00"     // of set: flags 0, never expires
	someFlags   = "\x00\x00\x00\x05\x00\x00\x00\x00"     // flags 5
	forever     = "\x00\x00\x00\x00"                     // of touch
	byOne       = "\x00\x00\x00\x00\x00\x00\x00\x01"     // of increment: its delta
	seedTen     = byOne + "\x00\x00\x00\x00\x00\x00\x00" // and its initial value and expiry
	fromTen     = seedTen + "\x0a" + forever
	noSeed      = seedTen + "\x0a" + "\xff\xff\xff\xff"
	ten, eleven = "\x00\x00\x00\x00\x00\x00\x00\x0a", "\x00\x00\x00\x00\x00\x00\x00\x0b"
)

func TestBinaryCommands(t *testing.T) {
	addr, _ := start(t, Config{}, store.Config{})
	c := dial(t, addr)
	for i, step := range []struct {
		ask  packet
		want string // status, extras, key and value; "" for no reply
	}{
		{packet{op: protocol.OpGet, key: "a"}, "1   Not found"},
		{packet{op: quiet(protocol.OpGet), key: "a"}, ""},
		{packet{op: protocol.OpGetK, key: "a"}, "1  a "},
		{packet{op: protocol.OpReplace, extras: noExtras, key: "a", value: "x"}, "1   Not found"},
		{packet{op: protocol.OpAppend, key: "a", value: "x"}, "5   Not stored."},
		{packet{op: protocol.OpSet, extras: someFlags, key: "a", value: "abc"}, "0   "},
		{packet{op: protocol.OpAdd, extras: noExtras, key: "a", value: "abc"}, "2   Data exists for key."},
		{packet{op: quiet(protocol.OpAdd), extras: noExtras, key: "a", value: "abc"}, "2   Data exists for key."},
		{packet{op: protocol.OpAppend, key: "a", value: "de"}, "0   "},
		{packet{op: quiet(protocol.OpPrepend), key: "a", value: "__"}, ""},
		{packet{op: protocol.OpGet, key: "a"}, "0 \x00\x00\x00\x05  __abcde"},
		{packet{op: quiet(protocol.OpGetK), key: "a"}, "0 \x00\x00\x00\x05 a __abcde"},
		{packet{op: protocol.OpTouch, extras: forever, key: "a"}, "0 \x00\x00\x00\x05  "},
		{packet{op: protocol.OpGAT, extras: forever, key: "a"}, "0 \x00\x00\x00\x05  __abcde"},
		{packet{op: quiet(protocol.OpGATK), extras: forever, key: "a"}, "0 \x00\x00\x00\x05 a __abcde"},
		{packet{op: quiet(protocol.OpGATK), extras: forever, key: "b"}, ""},
		{packet{op: protocol.OpGATK, extras: forever, key: "b"}, "1  b "},
		{packet{op: protocol.OpTouch, extras: forever, key: "b"}, "1   Not found"},
		{packet{op: protocol.OpIncrement, extras: fromTen, key: "a"}, "6   Non-numeric server-side value for incr or decr"},
		{packet{op: protocol.OpIncrement, extras: noSeed, key: "n"}, "1   Not found"},
		{packet{op: protocol.OpIncrement, extras: fromTen, key: "n"}, "0   " + ten},
		{packet{op: protocol.OpIncrement, extras: fromTen, key: "n"}, "0   " + eleven},
		{packet{op: quiet(protocol.OpDecrement), extras: fromTen, key: "n"}, ""},
		{packet{op: protocol.OpGet, key: "n"}, "0 \x00\x00\x00\x00  10"},
		{packet{op: protocol.OpSet, extras: noExtras, key: "a", value: "x", cas: 1 << 60}, "2   Data exists for key."},
		{packet{op: protocol.OpSet, extras: noExtras, key: "b", value: "x", cas: 1 << 60}, "1   Not found"},
		{packet{op: protocol.OpDelete, key: "a", cas: 1 << 60}, "2   Data exists for key."},
		{packet{op: protocol.OpDelete, key: "a"}, "0   "},
		{packet{op: quiet(protocol.OpDelete), key: "a"}, "1   Not found"},
		{packet{op: protocol.OpSet, extras: noExtras, key: "empty"}, "0   "},
		{packet{op: protocol.OpGet, key: "empty"}, "0 \x00\x00\x00\x00  "},
		{packet{op: protocol.OpVersion}, "0   " + Version},
		{packet{op: quiet(protocol.OpFlush)}, ""},
		{packet{op: protocol.OpGet, key: "n"}, "1   Not found"},
		{packet{op: protocol.OpFlush, extras: "\x00\x00\x01\x00"}, "0   "},
		{packet{op: protocol.OpStat, key: "nonsense"}, "1   Not found"},
		{packet{op: protocol.OpStat, key: "reset"}, "0   "},
		{packet{op: 0x1b, value: "more"}, "129   Unknown command"}, // verbosity, in protocol-binary.txt only
		{packet{op: 0x70, value: "v"}, "129   Unknown command"},
		{packet{op: protocol.OpSASLList}, "129   Unknown command"},
		{packet{op: protocol.OpSASLAuth, key: "PLAIN", value: "\x00u\x00p"}, "129   Unknown command"},
	} {
		step.ask.opaque = uint32(i)
		var got []string
		for _, r := range c.command(t, step.ask) {
			got = append(got, fmt.Sprintf("%d %s %s %s", r.status, r.extras, r.key, r.value))
			if r.opaque != step.ask.opaque || r.op != step.ask.op {
				t.Errorf("step %d: opcode %#x, opaque %d", i, r.op, r.opaque)
			}
		}
		if strings.Join(got, "|") != step.want {
			t.Errorf("step %d, opcode %#x: %q, want %q", i, step.ask.op, got, step.want)
		}
	}
}

// Every write answers with the CAS id under which the item can be changed.
func TestBinaryCAS(t *testing.T) {
	addr, _ := start(t, Config{}, store.Config{})
	c := dial(t, addr)
	last := c.command(t, packet{op: protocol.OpSet, extras: noExtras, key: "a", value: "1"})[0].cas
	for _, p := range []packet{
		{op: protocol.OpSet, extras: noExtras, key: "a", value: "1"},
		{op: protocol.OpAdd, extras: noExtras, key: "a", value: "2"}, // with a CAS id all three of them are the same
		{op: protocol.OpReplace, extras: noExtras, key: "a", value: "3"},
		{op: protocol.OpAppend, key: "a", value: "4"},
		{op: protocol.OpPrepend, key: "a", value: "5"},
		{op: protocol.OpIncrement, extras: fromTen, key: "a"},
		{op: protocol.OpDelete, key: "a"},
	} {
		if p.op != protocol.OpDelete {
			p.cas = last - 1
			if last == 1 {
				p.cas = 99
			}
			if r := c.command(t, p); r[0].status != protocol.StatusExists {
				t.Errorf("opcode %#x with an outdated id: %+v", p.op, r)
			}
		}
		p.cas = last
		r := c.command(t, p)
		if len(r) != 1 || r[0].status != protocol.StatusOK {
			t.Fatalf("opcode %#x: %+v", p.op, r)
		}
		if p.op == protocol.OpDelete {
			continue
		}
		if last = r[0].cas; c.command(t, packet{op: protocol.OpGet, key: "a"})[0].cas != last {
			t.Errorf("opcode %#x answers %d, which is not the item's id", p.op, last)
		}
	}
}

// What is too large is refused and swallowed, and the conversation goes on.
func TestBinaryTooLarge(t *testing.T) {
	addr, s := start(t, Config{}, store.Config{})
	c := dial(t, addr)
	c.command(t, packet{op: protocol.OpSet, extras: noExtras, key: "a", value: "old"})
	for _, op := range []protocol.Opcode{protocol.OpAppend, protocol.OpAdd, quiet(protocol.OpSet)} {
		r := c.command(t, packet{op: op, extras: noExtras[:8*b2i(op != protocol.OpAppend)], key: "a", value: strings.Repeat("x", 1<<20+1)})
		if len(r) != 1 || r[0].status != protocol.StatusTooLarge || r[0].value != "Too large." {
			t.Errorf("opcode %#x: %+v", op, r)
		}
		if r := c.command(t, packet{op: protocol.OpGet, key: "a"}); (r[0].value == "old") != (op != quiet(protocol.OpSet)) {
			t.Errorf("after opcode %#x: %+v", op, r)
		}
	}
	if n := s.sum(func(c *counters) *atomic.Uint64 { return &c.tooLarge }); n != 3 {
		t.Errorf("store_too_large: %d", n)
	}
}

// Of an unknown command's extras and key memcached takes as many bytes once more.
func TestBinaryUnknown(t *testing.T) {
	addr, _ := start(t, Config{}, store.Config{})
	c := dial(t, addr)
	c.ask(t, packet{op: 0x70, extras: "ee", key: "key", value: "v"}.String()+"eekey", "")
	for _, want := range []packet{{op: 0x70}, {op: protocol.OpNoop}} {
		if want.op == protocol.OpNoop {
			c.ask(t, want.String(), "")
		}
		if r, err := readReply(c.r); err != nil || r.op != want.op {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

// A length that is negative to a C program costs nothing, and ends the conversation.
func TestBinaryNegativeLength(t *testing.T) {
	addr, _ := start(t, Config{}, store.Config{})
	for _, op := range []protocol.Opcode{protocol.OpSet, 0x12, protocol.OpAppend} {
		b := []byte(packet{op: op, extras: noExtras[:8*b2i(op != protocol.OpAppend)], key: "k"}.String())
		binary.BigEndian.PutUint32(b[8:], 0xffffffe8)
		c := dial(t, addr)
		c.ask(t, string(b), "")
		if r, err := readReply(c.r); err != nil || r.status != protocol.StatusInvalid {
			t.Errorf("%+v, %v", r, err)
		}
		if _, err := c.r.ReadByte(); err == nil {
			t.Error("the conversation goes on")
		}
	}
}

// Requests after which nobody knows where the next one begins: an answer, and the end.
func TestBinaryRefused(t *testing.T) {
	addr, _ := start(t, Config{}, store.Config{})
	short := []byte(packet{op: protocol.OpGet, key: "key"}.String())
	short[11] = 1 // a body shorter than its key
	for _, tt := range []struct {
		text   string
		status protocol.Status
	}{
		{packet{op: protocol.OpGet, key: strings.Repeat("k", 251)}.String(), protocol.StatusInvalid},
		{packet{op: protocol.OpSet, extras: noExtras, key: strings.Repeat("k", 251), value: "v"}.String(), protocol.StatusInvalid},
		{packet{op: protocol.OpGet}.String(), protocol.StatusInvalid},
		{packet{op: protocol.OpGet, key: "k", value: "v"}.String(), protocol.StatusInvalid},
		{packet{op: protocol.OpSet, extras: "1234", key: "k", value: "v"}.String(), protocol.StatusInvalid},
		{packet{op: protocol.OpNoop, key: "k"}.String(), protocol.StatusInvalid},
		{string(short), protocol.StatusUnknownCommand},
	} {
		c := dial(t, addr)
		c.ask(t, tt.text, "")
		if r, err := readReply(c.r); err != nil || r.status != tt.status || r.value != tt.status.Text() {
			t.Errorf("%q: %+v, %v", tt.text, r, err)
		}
		if _, err := c.r.ReadByte(); err == nil {
			t.Errorf("%q: the conversation goes on", tt.text)
		}
	}
}

func TestBinaryQuit(t *testing.T) {
	addr, _ := start(t, Config{}, store.Config{})
	for _, p := range []packet{{op: protocol.OpQuit}, {op: quiet(protocol.OpQuit)}} {
		c := dial(t, addr)
		c.ask(t, p.String(), "")
		if r, err := readReply(c.r); (err == nil) != (p.op == protocol.OpQuit) || r.status != protocol.StatusOK {
			t.Errorf("%+v, %v", r, err)
		}
		if _, err := c.r.ReadByte(); err != io.EOF {
			t.Errorf("after a quit: %v", err)
		}
	}
}

func TestProtocols(t *testing.T) {
	noop := packet{op: protocol.OpNoop}.String()
	noopReply := string(protocol.BinaryReply{Opcode: protocol.OpNoop}.Append(nil))
	for _, tt := range []struct {
		protocol  Protocol
		ask, want string
		closed    bool
	}{
		{Auto, "mn\r\n" + "mn\r\n", "MN\r\nMN\r\n", false},
		{Auto, noop + noop, noopReply + noopReply, false},
		{Auto, noop + strings.Repeat("garbage", 4), noopReply, true},
		{ASCII, noop + "\r\n", "CLIENT_ERROR bad command line format\r\nERROR\r\n", false},
		{Binary, noop, noopReply, false},
		{Binary, strings.Repeat("mn\r\n", 6), "", true},
		{Binary, noop + noop + "\x81" + noop[1:], noopReply + noopReply, true},
	} {
		addr, _ := start(t, Config{Protocol: tt.protocol}, store.Config{})
		c := dial(t, addr)
		c.ask(t, tt.ask, tt.want)
		if tt.closed {
			if _, err := c.r.ReadByte(); err == nil {
				t.Errorf("%d: %q: the conversation goes on", tt.protocol, tt.ask)
			}
		}
	}
}

// Values of any size, in whatever pieces they arrive, come back whole, those too that are read straight into the store.
func TestBinaryLargeValues(t *testing.T) {
	addr, _ := start(t, Config{Workers: 1}, store.Config{MemoryLimit: 128 << 20, ItemSizeMax: 16 << 20})
	c := dial(t, addr)
	for _, n := range []int{1023, 65535, 65536, 200_000, 10 << 20} {
		value := strings.Repeat(string(rune('a'+n%26)), n)
		for rest := (packet{op: protocol.OpSet, extras: noExtras, key: "k", value: value}).String(); rest != ""; {
			part := rest[:min(len(rest), 77_777)]
			c.ask(t, part, "")
			rest = rest[len(part):]
		}
		if r, err := readReply(c.r); err != nil || r.status != protocol.StatusOK {
			t.Fatalf("%d bytes: %+v, %v", n, r, err)
		}
		if r := c.command(t, packet{op: protocol.OpGet, key: "k"}); len(r) != 1 || r[0].value != value {
			t.Fatalf("%d bytes came back as %d", n, len(r[0].value))
		}
	}
}

func TestBinaryStats(t *testing.T) {
	addr, _ := start(t, Config{Settings: [][2]string{{"maxbytes", "1"}, {"inter", "NULL"}}}, store.Config{})
	c := dial(t, addr)
	c.command(t, packet{op: protocol.OpSet, extras: noExtras, key: "a", value: "x"})
	c.command(t, packet{op: protocol.OpGet, key: "a"})
	stats := func(what string) map[string]string {
		all := make(map[string]string)
		replies := c.command(t, packet{op: protocol.OpStat, key: what})
		for _, r := range replies {
			if r.status != protocol.StatusOK {
				t.Errorf("%q: %+v", what, r)
			}
			all[r.key] = r.value
		}
		if last := replies[len(replies)-1]; last.key != "" || last.value != "" {
			t.Errorf("%q ends with %+v", what, last)
		}
		delete(all, "")
		return all
	}
	if got := stats(""); len(got) != len(dial(t, addr).stats(t, "stats")) || got["cmd_get"] != "1" || got["curr_items"] != "1" {
		t.Errorf("%d figures: %v", len(got), got)
	}
	if got := stats("settings"); len(got) != 2 || got["maxbytes"] != "67108864" || got["inter"] != "NULL" {
		t.Errorf("%v", got)
	}
	if got := stats("items"); got["items:1:number"] != "1" {
		t.Errorf("%v", got)
	}
	stats("reset")
	if got := stats(""); got["cmd_get"] != "0" {
		t.Errorf("after a reset: %v", got["cmd_get"])
	}
}

func TestBinaryNoFlush(t *testing.T) {
	addr, _ := start(t, Config{NoFlush: true}, store.Config{})
	c := dial(t, addr)
	if r := c.command(t, packet{op: protocol.OpFlush}); len(r) != 1 || r[0].status != protocol.StatusAuthError {
		t.Errorf("%+v", r)
	}
}

// Many clients change one counter, half of them quietly and half by compare-and-swap: no change is lost.
func TestBinaryAtOnce(t *testing.T) {
	addr, _ := start(t, Config{}, store.Config{})
	const clients, each = 100, 20
	dial(t, addr).command(t, packet{op: protocol.OpSet, extras: noExtras, key: "n", value: "0"})
	var wg sync.WaitGroup
	for g := range clients {
		wg.Go(func() {
			c := dial(t, addr)
			for range each {
				if g%2 == 0 {
					c.command(t, packet{op: quiet(protocol.OpIncrement), extras: fromTen, key: "n"})
					continue
				}
				for status := protocol.StatusExists; status == protocol.StatusExists; {
					was := c.command(t, packet{op: protocol.OpGet, key: "n"})[0]
					n, err := strconv.Atoi(strings.TrimSpace(was.value))
					if err != nil {
						t.Error(err)
						return
					}
					p := packet{op: protocol.OpSet, extras: noExtras, key: "n", value: strconv.Itoa(n + 1), cas: was.cas}
					status = c.command(t, p)[0].status
				}
			}
		})
	}
	wg.Wait()
	r := dial(t, addr).command(t, packet{op: protocol.OpGet, key: "n"})
	if want := strconv.Itoa(clients * each); r[0].value != want {
		t.Errorf("%s, want %s", r[0].value, want)
	}
}

// Without room and without leave to make some, as memcached words it.
func TestBinaryNoMemory(t *testing.T) {
	theirs, _ := realproc.Memcached(t, "-M", "-m", "2")
	ours, _ := start(t, Config{}, store.Config{MemoryLimit: 2 << 20, NoEvict: true})
	var answers [2]string
	for i, addr := range []string{theirs, ours} {
		c := dial(t, addr)
		var r reply
		for n := 0; r.status == protocol.StatusOK && n < 1000; n++ {
			r = c.command(t, packet{op: protocol.OpSet, extras: noExtras, key: fmt.Sprint("k", n), value: strings.Repeat("x", 10_000)})[0]
		}
		answers[i] = fmt.Sprintf("%+v", r)
		for _, p := range []packet{
			{op: quiet(protocol.OpAppend), key: "k0", value: strings.Repeat("x", 10_000)},
			{op: protocol.OpAdd, extras: noExtras, key: "other", value: strings.Repeat("x", 10_000)}, {op: protocol.OpNoop},
		} {
			answers[i] += fmt.Sprintf("%+v", c.command(t, p))
		}
	}
	if answers[0] != answers[1] || !strings.Contains(answers[1], "Out of memory") {
		t.Errorf("memcached   %s\ncacheserver %s", answers[0], answers[1])
	}
}
