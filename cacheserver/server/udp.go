package server

import (
	"encoding/binary"
	"errors"
	"math"
	"net"
	"net/netip"
	"time"
)

// UDP (protocol.txt, "UDP protocol"): a datagram begins with a header of four numbers of 16 bits in network byte order:
// the request's number, the datagram's place in the message, the number of datagrams in the message, and 0.

// Sizes in bytes: of the header, of a datagram that is sent, of one that may come, and of the longest reply, which has as many datagrams as
// can be numbered.
const (
	udpHeader   = 8
	udpSend     = 1400
	udpReceive  = 64 << 10
	udpReplyMax = math.MaxUint16 * (udpSend - udpHeader)
)

// udpReader answers datagrams. It belongs to one goroutine; several of them may share a socket.
type udpReader struct {
	session session
	conn    *net.UDPConn
	write   func(datagram []byte, to netip.AddrPort) (int, error) // of conn
	buf     []byte                                                // a datagram that came
	packet  []byte                                                // what the session owes
	message message

	datagram [udpSend]byte // one that goes
}

// message is the reply that is being put together.
type message struct {
	id        uint16 // of the request
	to        netip.AddrPort
	begun     bool
	evenEmpty bool
	later     bool // it is not the datagram's first: only that is sent if it is empty
	text      []byte
}

// serveUDP answers what comes to a socket until it is closed.
func (s *Server) serveUDP(conn *net.UDPConn, stats *counters) {
	u := &udpReader{
		session: session{srv: s, stats: stats},
		conn:    conn,
		write:   conn.WriteToUDPAddrPort,
		buf:     make([]byte, udpReceive),
	}
	for {
		n, from, err := conn.ReadFromUDPAddrPort(u.buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // what the system lacks now it may have then
			continue
		}
		stats.bytesRead.Add(uint64(n))
		if n > udpHeader {
			u.answer(u.buf[:n], from)
		}
	}
}

// answer does a datagram's requests, which know nothing of those in other datagrams. What is not complete, or only a part of a
// request, has no answer.
func (u *udpReader) answer(datagram []byte, from netip.AddrPort) {
	header, request := datagram[:udpHeader], datagram[udpHeader:]
	if binary.BigEndian.Uint16(header[4:]) != 1 {
		return
	}
	u.message = message{id: binary.BigEndian.Uint16(header), to: from, text: u.message.text[:0]}
	u.converse(request)
	if cap(u.message.text) > keptText {
		u.message.text = nil
	}
}

// converse holds a whole conversation and sends what is to be said to it, each reply as a message of its own.
func (u *udpReader) converse(b []byte) {
	s := &u.session
	s.messages = true
	defer func() {
		s.end()
		*s = session{srv: s.srv, stats: s.stats, out: s.out, segments: s.segments}
	}()
	for {
		s.budget = math.MaxInt
		b = b[s.feed(b):]
		more := s.out.full()
		u.collect(&s.out)
		s.out.reset()
		if !more || s.closing {
			u.send()
			return
		}
	}
}

// collect takes up what is owed, and sends the messages that are complete.
func (u *udpReader) collect(o *output) {
	u.packet = o.appendTo(u.packet[:0])
	from := 0
	for _, c := range o.cuts {
		u.append(u.packet[from:c.at])
		u.send()
		u.message.begun, u.message.evenEmpty = true, c.evenEmpty
		from = c.at
	}
	u.append(u.packet[from:])
}

// append appends to the message.
func (u *udpReader) append(b []byte) {
	m := &u.message
	if len(m.text)+len(b) > udpReplyMax {
		m.text = append(m.text[:0], "SERVER_ERROR reply too large for UDP\r\n"...)
		return
	}
	m.text = append(m.text, b...)
}

// send sends the message in as many datagrams as it takes, if it has begun. What gets lost on the way is the client's to notice.
func (u *udpReader) send() {
	m := &u.message
	if !m.begun || len(m.text) == 0 && (m.later || !m.evenEmpty) {
		m.later = m.later || m.begun && m.evenEmpty
		return
	}
	m.later = true
	const room = udpSend - udpHeader
	total := (len(m.text) + room - 1) / room
	for i := range max(1, total) {
		part := m.text[i*room : min((i+1)*room, len(m.text))]
		d := binary.BigEndian.AppendUint16(u.datagram[:0], m.id)
		d = binary.BigEndian.AppendUint16(d, uint16(i))
		d = binary.BigEndian.AppendUint16(d, uint16(total))
		d = append(append(d, 0, 0), part...)
		n, err := u.write(d, m.to)
		if err != nil {
			break // there is nobody to tell
		}
		u.session.stats.bytesWritten.Add(uint64(n))
	}
	m.begun, m.text = false, m.text[:0]
}
