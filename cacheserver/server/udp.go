package server

import (
	"encoding/binary"
	"errors"
	"math"
	"net"
	"net/netip"
	"time"

	"pagegate/cacheserver/protocol"
)

// UDP (protocol.txt, "UDP protocol"): a datagram begins with a header of four numbers of 16 bits in network byte order:
// the request's number, the datagram's place in the message, the number of datagrams in the message, and 0.

// Sizes in bytes: of the header, of a datagram that is sent, of one that may come, and of the longest reply. A request may
// carry a false sender's address, so what is sent there has a bound.
const (
	udpHeader   = 8
	udpSend     = 1400
	udpReceive  = 64 << 10
	udpReplyMax = 2 << 20
)

// udpReader answers datagrams. It belongs to one goroutine; several of them may share a socket.
type udpReader struct {
	session session
	conn    *net.UDPConn
	buf     []byte // a datagram that came
	reply   []byte // to it
	packet  []byte // a datagram that goes
}

// serveUDP answers what comes to a socket until it is closed.
func (s *Server) serveUDP(conn *net.UDPConn, stats *counters) {
	u := &udpReader{
		session: session{srv: s, stats: stats},
		conn:    conn,
		buf:     make([]byte, udpReceive),
		packet:  make([]byte, 0, udpSend),
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

// answer does a datagram's requests, which know nothing of those in other datagrams. One that is not complete has no
// answer.
func (u *udpReader) answer(datagram []byte, to netip.AddrPort) {
	header, request := datagram[:udpHeader], datagram[udpHeader:]
	u.reply = u.reply[:0]
	if binary.BigEndian.Uint16(header[4:]) != 1 {
		u.reply = append(u.reply, "SERVER_ERROR multi-packet request not supported\r\n"...)
	} else {
		u.converse(request)
	}
	u.send(binary.BigEndian.Uint16(header), to)
	if cap(u.reply) > keptText {
		u.reply = nil
	}
}

// converse holds a whole conversation and collects what is to be said to it.
func (u *udpReader) converse(b []byte) {
	s := &u.session
	defer func() {
		s.end()
		*s = session{srv: s.srv, stats: s.stats, out: s.out, segments: s.segments}
	}()
	for {
		s.budget = math.MaxInt
		b = b[s.feed(b):]
		more := s.out.full()
		if len(u.reply)+s.out.owed > udpReplyMax {
			s.out.reset()
			if s.language == inBinary {
				s.fail(protocol.StatusTooLarge)
			} else {
				s.reply("SERVER_ERROR reply too large for UDP")
			}
			u.reply, more = u.reply[:0], false
		}
		u.reply = s.out.appendTo(u.reply)
		s.out.reset()
		if !more || s.closing {
			return
		}
	}
}

// send sends a reply in as many datagrams as it takes. What gets lost on the way is the client's to notice.
func (u *udpReader) send(id uint16, to netip.AddrPort) {
	const room = udpSend - udpHeader
	total := (len(u.reply) + room - 1) / room
	for i := range total {
		part := u.reply[i*room : min((i+1)*room, len(u.reply))]
		u.packet = binary.BigEndian.AppendUint16(u.packet[:0], id)
		u.packet = binary.BigEndian.AppendUint16(u.packet, uint16(i))
		u.packet = binary.BigEndian.AppendUint16(u.packet, uint16(total))
		u.packet = append(append(u.packet, 0, 0), part...)
		n, err := u.conn.WriteToUDPAddrPort(u.packet, to)
		if err != nil {
			return // there is nobody to tell
		}
		u.session.stats.bytesWritten.Add(uint64(n))
	}
}
