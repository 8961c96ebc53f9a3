package server

import (
	"bufio"
	"bytes"
	"crypto/subtle"
	"os"
	"strings"

	"pagegate/cacheserver/protocol"
)

// saslMechanisms is what clients may choose from. PLAIN sends the password as it is: who listens on the wire reads it.
const saslMechanisms = "PLAIN"

// Lengths in bytes: of a mechanism's name in memcached; of what may be a message of PLAIN; of what memcached still reads.
const (
	saslMechMax   = 32
	saslDataMax   = 4096
	saslRefuseMax = 512 << 10
)

// mayAsk tells whether a client may do the request at hand while it has not authenticated itself, or has.
func (s *session) mayAsk() bool {
	switch s.req.Opcode {
	case protocol.OpSASLList, protocol.OpSASLAuth, protocol.OpSASLStep, protocol.OpVersion:
		return true
	}
	return s.authenticated
}

// wantsWhole tells whether the request at hand is done only when its value is there too.
func (s *session) wantsWhole() bool {
	return (s.op == protocol.OpSASLAuth || s.op == protocol.OpSASLStep) && s.srv.cfg.SASL != nil &&
		s.req.ValueLen() <= saslDataMax
}

// sasl does a request of the SASL family; data begins with its value. It returns how many bytes of that it used. Whoever
// asks to be authenticated, or only how, is so no longer.
func (s *session) sasl(data []byte) (used int) {
	r := &s.req
	length := r.ValueLen()
	s.authenticated = false
	switch {
	case s.srv.cfg.SASL == nil:
		s.fail(protocol.StatusUnknownCommand)
	case s.op == protocol.OpSASLList:
		s.succeedWith(saslMechanisms)
	case r.KeyLen > saslMechMax:
		s.fail(protocol.StatusInvalid)
	case length > saslRefuseMax:
		s.fail(protocol.StatusNoMemory)
	case length > saslDataMax:
		s.authenticate(nil)
	default:
		s.authenticate(data[:length])
		return int(length)
	}
	s.swallow = length
	return 0
}

// authenticate takes what a client says of itself. PLAIN is over after one message, which may come with the choice of the
// mechanism or, when it is empty there, after it; nil is one that is too long. As in memcached nobody is authenticated twice on one connection.
func (s *session) authenticate(message []byte) {
	if s.op == protocol.OpSASLAuth {
		s.saslBegun = strings.EqualFold(string(s.req.Key), saslMechanisms)
		if s.saslBegun && !s.saslDone && message != nil && len(message) == 0 {
			s.header(protocol.BinaryReply{Status: protocol.StatusAuthContinue})
			return
		}
	}
	s.stats.authCmds.Add(1)
	user, password, ok := plain(message)
	if !s.saslBegun || s.saslDone || !ok || !s.srv.cfg.SASL(user, password) {
		s.saslBegun = s.saslBegun && s.op == protocol.OpSASLStep
		s.stats.authErrors.Add(1)
		s.fail(protocol.StatusAuthError)
		return
	}
	s.authenticated, s.saslDone = true, true
	s.succeedWith("Authenticated")
}

// plain reads a message of the mechanism PLAIN (RFC 4616): [authzid] NUL authcid NUL passwd. Nobody may act for another.
func plain(message []byte) (user, password []byte, ok bool) {
	parts := bytes.Split(message, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 || len(parts[2]) == 0 {
		return nil, nil, false
	}
	if len(parts[0]) > 0 && !bytes.Equal(parts[0], parts[1]) {
		return nil, nil, false
	}
	return parts[1], parts[2], true
}

// PasswordFile returns a check for Config.SASL against a file of lines `user:password`, which a colon and anything may
// follow; a user's first line counts. As memcached does with MEMCACHED_SASL_PWDB it reads the file for each check, so
// that a change holds at once; while the file cannot be read nobody gets in.
func PasswordFile(path string) func(user, password []byte) bool {
	return func(user, password []byte) bool {
		f, err := os.Open(path)
		if err != nil {
			return false
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if secret, ok := bytes.CutPrefix(lines.Bytes(), append(user[:len(user):len(user)], ':')); ok {
				return opens(secret, password)
			}
		}
		return false
	}
}

// opens compares a password with what stands in the file, in a time that does not tell how much of it is right.
func opens(secret, password []byte) bool {
	if len(password) > len(secret) || (len(password) < len(secret) && secret[len(password)] != ':') {
		return false
	}
	return subtle.ConstantTimeCompare(secret[:len(password)], password) == 1
}
