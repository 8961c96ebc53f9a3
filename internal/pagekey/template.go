package pagekey

import (
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"

	"pagegate/internal/glob"
)

// UsesArguments tells whether the key has $pagegate_args.
func (t *Template) UsesArguments() bool { return t.hasKept }

// UsesDevice tells whether the key has $pagegate_device.
func (t *Template) UsesDevice() bool { return t.hasDevice }

// Default is the template of the key that [Append] computes.
const Default = "$uri?$args"

// Request is what a key may depend on, as it came from the client. Nothing of it is kept or changed.
type Request struct {
	// Target is the raw request target, in origin or absolute form.
	Target []byte
	// Host is the value of the Host field. Empty means that there was none, which nginx accepts from HTTP/1.0 only:
	// refusing an HTTP/1.1 request without a Host, or with two, is the caller's task, as it is with any other field.
	Host []byte
	// Method is the request's method as sent.
	Method []byte
	// HTTPS makes $scheme "https" instead of "http". The scheme of an absolute target plays no part.
	HTTPS bool
	// Fields gives the other request fields; nil means that there are none.
	Fields Fields
}

// Fields looks up the fields of a request. It appends rather than returns, so that an implementation over strings
// needs no allocation either.
type Fields interface {
	// AppendField appends the value of the n-th field line of that name (from 0, in the order received, without
	// white space around it) to dst, and tells whether there is such a line; if not, it returns dst. The name is in
	// canonical form ("X-Forwarded-For"); names compare without regard to case. A line whose name has an underscore
	// does not count as one with a dash: nginx ignores it.
	AppendField(dst []byte, name string, n int) ([]byte, bool)
}

// Option changes how a template is evaluated, as a directive or the version of nginx would.
type Option func(*Template)

// MergeSlashes is nginx's merge_slashes; it is on unless set to false.
func MergeSlashes(on bool) Option { return func(t *Template) { t.merge = on } }

// JoinFields tells how $http_NAME reads a field that came in several lines. On, it is all values with ", " between
// them, as in nginx since 1.23.0; off, which is the default, the first value, as in nginx 1.22 and before. Either way
// $http_cookie joins with "; " and $http_x_forwarded_for with ", ".
func JoinFields(on bool) Option { return func(t *Template) { t.join = on } }

// ServerName is the value of $host for a request that has neither an authority in its target nor a Host field: the
// first name of nginx's server_name, in lower case. It is empty unless set.
func ServerName(name string) Option {
	name = strings.ToLower(name)
	return func(t *Template) { t.serverName = name }
}

// Template is a key in nginx's variable syntax, ready to be evaluated. It is immutable and safe for concurrent use.
type Template struct {
	text       string
	pieces     []piece
	merge      bool   // see MergeSlashes
	join       bool   // see JoinFields
	serverName string // see ServerName
	hasURI     bool   // $uri occurs, so evaluating the pieces validates the path
	hasKept    bool   // $pagegate_args occurs
	hasDevice  bool   // $pagegate_device occurs
	arguments  Arguments
	devices    []Device
}

// piece is a literal or a variable of a template.
type piece struct {
	kind kind
	text string // the literal, or the variable's NAME in the form that its look-up wants
}

// Parse reads a template: text with the variables $uri ($document_uri), $args ($query_string), $is_args, $request_uri,
// $host, $scheme, $request_method, $arg_NAME, $cookie_NAME and $http_NAME of nginx, and $pagegate_args (see
// [KeptArguments]) and $pagegate_device (see [Devices]) of the shipped nginx configuration, each also as ${name}. Names
// are case-insensitive. The text is the value that nginx's `set` gets, so quotes and backslashes of the configuration file
// are not part of it. A variable that is unknown, a dollar sign without a name and an empty text are errors; a
// variable that depends on anything but the request (an address, the time, a capture) cannot name a shared page.
func Parse(text string, options ...Option) (*Template, error) {
	if text == "" {
		return nil, fmt.Errorf("key template: it is empty")
	}
	t := &Template{text: text, merge: true}
	for _, o := range options {
		o(t)
	}
	for rest := text; rest != ""; {
		dollar := strings.IndexByte(rest, '$')
		if dollar < 0 {
			dollar = len(rest)
		}
		if dollar > 0 {
			t.pieces = append(t.pieces, piece{kindLiteral, rest[:dollar]})
			rest = rest[dollar:]
			continue
		}
		name, after, err := cutVariable(rest)
		if err != nil {
			return nil, fmt.Errorf("key template %q: %w", text, err)
		}
		p, ok := variable(strings.ToLower(name))
		if !ok {
			return nil, fmt.Errorf("key template %q: unknown variable $%s", text, name)
		}
		t.pieces = append(t.pieces, p)
		t.hasURI = t.hasURI || p.kind == kindURI
		t.hasKept = t.hasKept || p.kind == kindKeptArgs
		t.hasDevice = t.hasDevice || p.kind == kindDevice
		rest = after
	}
	if err := t.checkArguments(); err != nil {
		return nil, fmt.Errorf("key template %q: %w", text, err)
	}
	return t, nil
}

// checkArguments refuses what would tell requests apart by arguments that a shared fetch is made without.
func (t *Template) checkArguments() error {
	if !t.hasKept {
		return nil
	}
	for _, p := range t.pieces {
		switch {
		case p.kind == kindArgs, p.kind == kindIsArgs, p.kind == kindRequestURI:
			return errors.New("$pagegate_args leaves arguments out that another variable has: write it alone")
		case p.kind == kindArg && glob.Any(t.arguments.Drop, p.text):
			return fmt.Errorf("$arg_%s is among the arguments that $pagegate_args leaves out", p.text)
		}
	}
	return nil
}

// cutVariable cuts $name or ${name} off the start of s.
func cutVariable(s string) (name, rest string, err error) {
	start := 1
	braced := strings.HasPrefix(s, "${")
	if braced {
		start = 2
	}
	end := start
	for end < len(s) && (isAlnum(s[end]) || s[end] == '_') {
		end++
	}
	if end == start {
		return "", "", fmt.Errorf("no variable name after %q", s[:start])
	}
	name, rest = s[start:end], s[end:]
	if braced {
		var closed bool
		if rest, closed = strings.CutPrefix(rest, "}"); !closed {
			return "", "", fmt.Errorf("no closing brace after ${%s", name)
		}
	}
	return name, rest, nil
}

// variable returns the piece of a variable's name, which is in lower case.
func variable(name string) (piece, bool) {
	if k, ok := plainVariables[name]; ok {
		return piece{kind: k}, true
	}
	for prefix, k := range prefixVariables {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" {
			if k == kindField {
				rest = textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(rest, "_", "-"))
			}
			return piece{k, rest}, true
		}
	}
	return piece{}, false
}

// String returns the template's text.
func (t *Template) String() string { return t.text }

// FieldNames returns the canonical names of the request fields that the key depends on, sorted, without Host. A fetch
// whose result is stored under the key must carry them to the backend, or one page stands under keys that promise
// several.
func (t *Template) FieldNames() []string {
	var names []string
	for _, p := range t.pieces {
		switch {
		case p.kind == kindCookie:
			names = append(names, cookieField)
		case p.kind == kindField && p.text != hostField:
			names = append(names, p.text)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
