package pagekey

import "bytes"

// kind tells what a piece of a template stands for.
type kind uint8

const (
	kindLiteral kind = iota
	kindURI
	kindArgs
	kindIsArgs
	kindRequestURI
	kindHost
	kindScheme
	kindMethod
	kindArg
	kindCookie
	kindField
	kindKeptArgs
	kindDevice
)

var plainVariables = map[string]kind{
	"uri": kindURI, "document_uri": kindURI, "args": kindArgs, "query_string": kindArgs, "is_args": kindIsArgs,
	"request_uri": kindRequestURI, "host": kindHost, "scheme": kindScheme, "request_method": kindMethod,
	"pagegate_args": kindKeptArgs, "pagegate_device": kindDevice,
}

var prefixVariables = map[string]kind{"arg_": kindArg, "cookie_": kindCookie, "http_": kindField}

// Fields that the rules treat apart.
const (
	cookieField       = "Cookie"
	hostField         = "Host"
	forwardedForField = "X-Forwarded-For"
)

// Append appends the raw key of a request to dst: the string that `set $memcached_key` with the same text gives in
// nginx. A request that nginx answers with 400 because of its target or its Host gives an error that wraps
// [ErrBadTarget], whether or not the template mentions the part that is wrong; an empty key gives [ErrNoKey].
//
// dst may be used as room for whole field values on the way, so a buffer that is kept between calls saves allocations
// even for short keys.
func (t *Template) Append(dst []byte, r *Request) ([]byte, error) {
	base := len(dst)
	target, err := dissect(r.Target)
	if err != nil {
		return dst, err
	}
	name, err := hostOf(r, &target)
	if err != nil {
		return dst, err
	}
	if t.text == Default {
		return target.appendKey(dst, t.merge)
	}
	if !t.hasURI { // a path that nginx refuses is refused all the same
		if dst, err = target.appendURI(dst, t.merge); err != nil {
			return dst, err
		}
		dst = dst[:base]
	}
	for _, p := range t.pieces {
		switch p.kind {
		case kindURI:
			if dst, err = target.appendURI(dst, t.merge); err != nil {
				return dst[:base], err
			}
		case kindHost:
			dst = appendLower(dst, name)
			if len(name) == 0 {
				dst = append(dst, t.serverName...)
			}
		case kindCookie:
			dst = r.appendCookie(dst, p.text)
		case kindField:
			dst = t.appendHTTP(dst, r, p.text)
		case kindKeptArgs:
			dst = t.arguments.append(dst, target.args())
		case kindDevice:
			dst = append(dst, t.device(dst, r)...)
		default:
			dst = p.appendSimple(dst, r, &target)
		}
	}
	if len(dst) == base {
		return dst, ErrNoKey
	}
	return dst, nil
}

// hostOf returns what becomes $host once in lower case: from the absolute form's authority, else from the Host field;
// empty if there is neither. An invalid Host field is refused even where the authority takes precedence.
func hostOf(r *Request, target *parts) ([]byte, error) {
	var name []byte
	if len(r.Host) > 0 {
		var ok bool
		if name, ok = cutHost(r.Host); !ok {
			return nil, errHostField
		}
	}
	if target.hostEnd > 0 {
		name, _ = cutHost(target.raw[target.authority:target.hostEnd]) // dissect has seen that it is valid
	}
	return name, nil
}

// appendSimple appends a piece that is a literal or comes from the request line.
func (p piece) appendSimple(dst []byte, r *Request, target *parts) []byte {
	switch p.kind {
	case kindLiteral:
		return append(dst, p.text...)
	case kindArgs:
		return append(dst, target.args()...)
	case kindIsArgs:
		if len(target.args()) > 0 {
			return append(dst, '?')
		}
	case kindRequestURI:
		return append(dst, target.requestURI()...)
	case kindScheme:
		if r.HTTPS {
			return append(dst, "https"...)
		}
		return append(dst, "http"...)
	case kindMethod:
		return append(dst, r.Method...)
	case kindArg:
		return append(dst, argument(target.args(), p.text)...)
	}
	return dst
}

// argument returns the undecoded value of the first argument with that name, which is in lower case. An argument
// without an equals sign is none.
func argument(args []byte, name string) []byte {
	for len(args) > 0 {
		one, rest, _ := bytes.Cut(args, []byte{'&'})
		if len(one) > len(name) && one[len(name)] == '=' && hasPrefixFold(one, name) {
			return one[len(name)+1:]
		}
		args = rest
	}
	return nil
}

// appendHTTP appends $http_NAME.
func (t *Template) appendHTTP(dst []byte, r *Request, name string) []byte {
	if name == hostField {
		return append(dst, r.Host...)
	}
	if r.Fields == nil {
		return dst
	}
	separator := ", "
	if name == cookieField {
		separator = "; "
	}
	dst, more := r.Fields.AppendField(dst, name, 0)
	if !t.join && name != cookieField && name != forwardedForField {
		return dst
	}
	for n := 1; more; n++ {
		end := len(dst)
		dst = append(dst, separator...)
		if dst, more = r.Fields.AppendField(dst, name, n); !more {
			dst = dst[:end]
		}
	}
	return dst
}

// appendCookie appends $cookie_NAME: the value in the first Cookie line that has the name.
func (r *Request) appendCookie(dst []byte, name string) []byte {
	if r.Fields == nil {
		return dst
	}
	base := len(dst)
	for n := 0; ; n++ {
		var more bool
		if dst, more = r.Fields.AppendField(dst, cookieField, n); !more {
			return dst[:base]
		}
		if value, ok := cookieValue(dst[base:], name); ok {
			return append(dst[:base], value...) // moves the value to the front of its line
		}
		dst = dst[:base]
	}
}

// cookieValue finds a cookie in the value of a Cookie line as nginx does, which is not RFC 6265: names compare without
// regard to case, a comma ends a cookie that was not asked for but not the value of the one that was, and spaces are
// allowed around the equals sign. A name without a value swallows the cookie after it ("a; a=1" has no a).
func cookieValue(line []byte, name string) ([]byte, bool) {
	if len(name) > len(line) {
		return nil, false
	}
	for len(line) > 0 {
		if hasPrefixFold(line, name) {
			line = bytes.TrimLeft(line[len(name):], " ")
			if len(line) == 0 {
				return nil, false
			}
			if line[0] == '=' {
				value, _, _ := bytes.Cut(bytes.TrimLeft(line[1:], " "), []byte{';'})
				return value, true
			}
			line = line[1:]
		}
		end := bytes.IndexAny(line, ";,")
		if end < 0 {
			return nil, false
		}
		line = bytes.TrimLeft(line[end+1:], " ")
	}
	return nil, false
}

// hasPrefixFold tells whether s begins with the lower-case prefix, ASCII letters compared without regard to case.
func hasPrefixFold(s []byte, prefix string) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if lower(s[i]) != prefix[i] {
			return false
		}
	}
	return true
}
