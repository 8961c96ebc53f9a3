// Package pagekey computes the key under which a page is cached, byte for byte as nginx does.
//
// nginx, the filler, the gateway and an application that stores its own pages never talk to each other: they meet only
// under the key. One byte of difference and the page that one stores is the page that the other never finds; one
// request too many that maps to a key and somebody gets another page. So there is one rule, this package is its only
// copy, and the judge is nginx itself: the tests send generated requests through a real nginx and compare every key and
// every refusal.
//
// The key is nginx's "$uri?$args": the decoded and normalised path, a question mark that is always there, and the
// arguments as they came. It is computed from the raw request target, since every HTTP library normalises paths in
// its own way and refuses less than nginx does. A [Template] computes any other key that a `set $memcached_key "...";`
// can express.
//
// Three forms of a key must not be confused. The raw key is the value of the variable, and what a hash over servers is
// computed from. The wire key is the raw key with a few bytes escaped, and what stands in the `get` command; see
// [AppendWire]. The request target is neither.
//
// Everything here is safe for concurrent use and keeps no reference to its arguments. Functions that append return the
// extended slice, or dst as it was together with an error, and allocate nothing if dst has room.
package pagekey

// Append appends the raw key "$uri?$args" of a request target to dst. The target is what stands between the two spaces
// of the request line, in origin form (`/a?b`) or absolute form (`http://host/a?b`). A target that nginx answers with
// 400 gives an error that wraps [ErrBadTarget].
//
// The result is never longer than the target by more than two bytes.
func Append(dst, target []byte) ([]byte, error) {
	t, err := dissect(target)
	if err != nil {
		return dst, err
	}
	return t.appendKey(dst, true)
}

// AppendURI appends nginx's $uri of a request target to dst: the key without the question mark and what follows it.
// Errors are those of [Append].
func AppendURI(dst, target []byte) ([]byte, error) {
	t, err := dissect(target)
	if err != nil {
		return dst, err
	}
	return t.appendURI(dst, true)
}

// Split parts a request target into the authority of the absolute form (`host` or `host:port`, empty for the origin
// form) and the target in origin form, as nginx's proxy_pass sends it to a backend: unchanged, fragment included, but
// for an empty path, which becomes "/" without the fragment.
//
// Both results alias target, except that an empty path with arguments is allocated. Only the form is checked: a caller
// that has not computed the key of the same target must do so before it trusts the path.
func Split(target []byte) (authority, origin []byte, err error) {
	t, err := dissect(target)
	if err != nil {
		return nil, nil, err
	}
	authority = target[t.authority:t.path]
	switch args := t.args(); {
	case t.pathEnd > t.path:
		origin = target[t.path:]
	case len(args) > 0:
		origin = append([]byte("/?"), args...)
	default:
		origin = []byte("/")
	}
	return authority, origin, nil
}
