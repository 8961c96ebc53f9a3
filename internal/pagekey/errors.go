package pagekey

import "errors"

// ErrBadTarget is wrapped by every refusal of a request: nginx answers such a request with 400, so nothing may be
// looked up, stored or forwarded for it.
var ErrBadTarget = errors.New("bad request target")

// ErrNoKey is returned for a request on which a template yields nothing, as "$http_x" does without the field. No key is
// empty; nginx answers such a request with 500. A template with any literal text or $uri never gets there.
var ErrNoKey = errors.New("the key template yields an empty key for this request")

// badTarget is a refusal with its reason. It is a string type so that a refusal costs no allocation: refused requests
// are what an attacker sends in bulk.
type badTarget string

func (e badTarget) Error() string { return ErrBadTarget.Error() + ": " + string(e) }

func (e badTarget) Unwrap() error { return ErrBadTarget }

const (
	errEmpty     badTarget = "it is empty"
	errForm      badTarget = "it starts with neither / nor scheme://host"
	errControl   badTarget = "it holds a space or a control byte"
	errAuthority badTarget = "the authority is followed by something else than a port, /, ? or the end"
	errHost      badTarget = "the host name is invalid"
	errHostField badTarget = "the Host field is invalid"
	errEscape    badTarget = "a percent sign of the path is not followed by two hexadecimal digits"
	errZero      badTarget = "the path holds an escaped zero byte"
	errAboveRoot badTarget = "the path leads above the root"
)
