package store

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// script reads the operations of a fuzz input, byte by byte; behind its end are zeros.
type script []byte

func (s *script) byte() byte {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return b
}

func (s *script) key() string { return fmt.Sprint("k", s.byte()%16) }

func (s *script) number() uint64 {
	var b [8]byte
	*s = (*s)[copy(b[:], *s):]
	return binary.LittleEndian.Uint64(b[:])
}

// value makes a value of one of several kinds, up to 255 KiB long.
func (s *script) value() []byte {
	switch kind := s.byte(); kind % 4 {
	case 0:
		return fmt.Append(nil, s.number())
	case 1:
		n := min(int(s.byte())%24, len(*s))
		text := (*s)[:n:n]
		*s = (*s)[n:]
		return text
	case 2:
		return pattern(int(kind), int(s.byte())*8)
	default:
		return pattern(int(kind), int(s.byte())*1024)
	}
}

// FuzzOperations runs a script of operations against store and model.
func FuzzOperations(f *testing.F) {
	f.Add(uint8(0), []byte{})
	f.Add(uint8(1), []byte("0\x01\x030\x01\x03"))
	f.Add(uint8(2), []byte{0, 1, 3, 200, 0, 0, 4, 1, 3, 200, 0, 0, 6, 1, 0, 5, 1, 3, 99, 0, 0, 7, 0, 0})
	f.Add(uint8(3), []byte{0, 1, 1, 2, '9', '9', 0, 0, 10, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 8, 1, 50, 11, 1, 12, 60})
	f.Add(uint8(4), []byte{0, 1, 2, 9, 1, 7, 11, 5, 0, 2, 2, 9, 0, 0, 12, 10, 13, 9, 2, 14, 3, 13})
	shapes := []Config{
		storeShapes["roomy"], storeShapes["tiny"], storeShapes["chains"], storeShapes["no evict"], storeShapes["no cas"],
		storeShapes["segmented"], storeShapes["all in chains"],
	}
	f.Fuzz(func(t *testing.T, shape uint8, input []byte) {
		cfg, clock := shapes[int(shape)%len(shapes)], newClock()
		cfg.Now = clock.now
		s := newStore(t, cfg)
		m := newModel(s, clock)
		ops := script(input)
		for steps := 0; len(ops) > 0 && steps < 300; steps++ {
			run(t, func() { step(m, &ops) })
			checkInvariants(t, s, len(m.held))
		}
		run(t, m.finish)
		checkInvariants(t, s, 0)
	})
}

// step does one operation of a script.
func step(m *model, ops *script) {
	switch op := ops.byte() % 17; op {
	case 0, 1, 2, 3, 4, 5:
		exptime := int64(0)
		key, value, flags := ops.key(), ops.value(), uint32(ops.byte()%2)
		if ttl := ops.byte(); ttl != 0 {
			exptime = m.clock.now() + int64(ttl) - 10
		}
		m.put(Mode(op), key, value, flags, exptime, flags == 0)
	case 6:
		m.hold(ops.key())
	case 7:
		m.release()
	case 8:
		m.touch(ops.key(), m.clock.now()+int64(ops.byte()), ops.byte()%2 == 0)
	case 9:
		m.delete(ops.key())
	case 10:
		m.delta(ops.key(), ops.number(), ops.byte()%2 == 0)
	case 11:
		m.flush(int64(ops.byte()) - 20)
	case 12:
		m.clock.add(int64(ops.byte()))
	case 13:
		m.walk()
	case 14:
		juggle(m.s)
	case 15:
		m.s.SetLRU(LRU{Segmented: ops.byte()%2 == 0, Temporary: true, TemporaryTTL: int64(ops.byte() % 50)})
	default:
		m.get(ops.key())
	}
}
