package server

import "pagegate/cacheserver/protocol"

// Protocol says which protocols clients may speak.
type Protocol uint8

// The values of memcached's -B.
const (
	Auto   Protocol = iota // either: a first byte of 0x80 begins the binary one
	ASCII                  // the text protocol
	Binary                 // the binary protocol
)

// language is the protocol that a session is held in.
type language uint8

const (
	undecided language = iota // nothing has come yet
	inText
	inBinary
)

// language returns what a client speaks whose first byte is given.
func (p Protocol) language(first byte) language {
	if p == Binary || p == Auto && first == protocol.BinaryRequestMagic {
		return inBinary
	}
	return inText
}
