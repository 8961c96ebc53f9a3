package remote

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"pagegate/internal/idle"
)

// batch is several commands of the text protocol that go out in one write. Their replies are read in the same order: the
// server does one after the other. A miss makes two or three of them where single commands would be eight round trips,
// each with its wake-ups at both ends.
type batch struct {
	pieces  net.Buffers
	text    []byte // that is not among the pieces yet
	replies []func(*bufio.Reader) error
}

// copyValuesUpTo is the size in bytes up to which a value is copied beside its command.
const copyValuesUpTo = 4 << 10

// store adds a `set` or `add` of the values one after the other. done, if not nil, is told whether the item was stored.
func (b *batch) store(verb, key string, flags uint32, expires int32, done *bool, values ...[]byte) {
	n := 0
	for _, v := range values {
		n += len(v)
	}
	b.text = fmt.Appendf(b.text, "%s %s %d %d %d\r\n", verb, key, flags, expires, n)
	for _, v := range values {
		if len(v) <= copyValuesUpTo {
			b.text = append(b.text, v...)
		} else {
			b.pieces = append(b.pieces, b.text, v)
			b.text = nil
		}
	}
	b.text = append(b.text, "\r\n"...)
	b.replies = append(b.replies, func(r *bufio.Reader) error {
		line, err := readReply(r)
		switch {
		case err != nil:
			return err
		case line == "STORED", line == "NOT_STORED":
			if done != nil {
				*done = line == "STORED"
			}
			return nil
		}
		return replyError(line)
	})
}

// delete adds a `delete`. That nothing was there is no error.
func (b *batch) delete(key string) {
	b.text = append(append(append(b.text, "delete "...), key...), "\r\n"...)
	b.replies = append(b.replies, func(r *bufio.Reader) error {
		line, err := readReply(r)
		if err != nil || line == "DELETED" || line == "NOT_FOUND" {
			return err
		}
		return replyError(line)
	})
}

// found is an item that a `get` has brought.
type found struct {
	there bool
	flags uint32
	value []byte
}

// get adds a `get` of several keys; each item goes where its key says.
func (b *batch) get(into map[string]*found, keys ...string) {
	b.text = append(append(append(b.text, "get "...), strings.Join(keys, " ")...), "\r\n"...)
	b.replies = append(b.replies, func(r *bufio.Reader) error { return readItems(r, into) })
}

// run sends the commands over a connection and reads the replies.
func (b *batch) run(c *wire) error {
	out := append(append(make(net.Buffers, 0, len(b.pieces)+1), b.pieces...), b.text)
	if _, err := out.WriteTo(c.nc); err != nil {
		return err
	}
	for _, reply := range b.replies {
		if err := reply(c.r); err != nil {
			return err
		}
	}
	return nil
}

func readReply(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	return string(bytes.TrimSuffix(line, []byte("\r\n"))), nil
}

// replyError is what an unexpected reply comes to.
func replyError(line string) error { return fmt.Errorf("it answered %.100q", line) }

// maxItem bounds an item's length in bytes: what a reply says is not believed beyond it.
const maxItem = 1 << 30

// readItems reads the reply of a `get`.
func readItems(r *bufio.Reader, into map[string]*found) error {
	for {
		line, err := readReply(r)
		if err != nil || line == "END" {
			return err
		}
		words := strings.Fields(line)
		if len(words) < 4 || words[0] != "VALUE" || into[words[1]] == nil {
			return replyError(line)
		}
		flags, err1 := strconv.ParseUint(words[2], 10, 32)
		n, err2 := strconv.ParseUint(words[3], 10, 32)
		if err1 != nil || err2 != nil || n > maxItem {
			return replyError(line)
		}
		value := make([]byte, n+2)
		if _, err := io.ReadFull(r, value); err != nil {
			return err
		}
		if !bytes.HasSuffix(value, []byte("\r\n")) {
			return errors.New("an item is longer than it said")
		}
		*into[words[1]] = found{true, uint32(flags), value[:n:n]}
	}
}

// wire is a connection to a server.
type wire struct {
	nc net.Conn
	r  *bufio.Reader
}

// Close implements io.Closer.
func (w *wire) Close() error { return w.nc.Close() }

// wires are the connections to a server that batches go over.
type wires struct {
	addr    net.Addr
	timeout time.Duration
	idle    idle.Pool[*wire]
}

// run has a batch done over one of the connections, within the timeout.
func (ws *wires) run(b *batch) error {
	c, err := ws.take()
	if err != nil {
		return err
	}
	_ = c.nc.SetDeadline(time.Now().Add(ws.timeout))
	if err := b.run(c); err != nil {
		c.Close()
		return err
	}
	ws.idle.Put(c)
	return nil
}

func (ws *wires) take() (*wire, error) {
	if c, ok := ws.idle.Take(); ok {
		return c, nil
	}
	nc, err := (&net.Dialer{Timeout: ws.timeout}).Dial(ws.addr.Network(), ws.addr.String())
	if err != nil {
		return nil, err
	}
	return &wire{nc, bufio.NewReader(nc)}, nil
}
