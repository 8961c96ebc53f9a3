package pagekey

import (
	"bytes"
	"unsafe"

	"pagegate/internal/glob"
)

// Arguments says what becomes of a target's arguments in $pagegate_args. The zero value keeps them as they are, but for
// a `&` at the end.
type Arguments struct {
	// Drop are the names of arguments that no page depends on, those of campaigns above all; `*` stands for any bytes.
	// Names are compared as they came, undecoded and with regard to case.
	Drop []string
	// Sort orders what is kept by name, arguments of one name as they came. No nginx can do that.
	Sort bool
}

// KeptArguments gives $pagegate_args its meaning: the arguments less those to be dropped.
func KeptArguments(a Arguments) Option { return func(t *Template) { t.arguments = a } }

const (
	// maxKeptRuns bounds how many stretches of kept arguments, each between dropped ones, are put together; arguments of
	// more stay as they are. It is the number of captures of the expression in nginx/pagegate-http.conf.
	maxKeptRuns = 8
	// maxSorted bounds the arguments that are sorted; more stay in their order.
	maxSorted = 64
)

// append appends the kept ones of args to dst.
func (a *Arguments) append(dst, args []byte) []byte {
	base := len(dst)
	runs, inRun := 0, false
	for rest := args; len(rest) > 0; {
		end := bytes.IndexByte(rest, '&') + 1
		if end == 0 {
			end = len(rest)
		}
		one := rest[:end]
		rest = rest[end:]
		if a.drops(one) {
			inRun = false
			continue
		}
		if !inRun {
			runs, inRun = runs+1, true
		}
		dst = append(dst, one...)
	}
	if runs > maxKeptRuns {
		dst = append(dst[:base], args...)
	}
	if a.Sort {
		dst = dst[:base+sortArguments(dst[base:])]
	}
	if end := len(dst) - 1; end >= base && dst[end] == '&' {
		dst = dst[:end]
	}
	return dst
}

// drops tells whether an argument, with or without the `&` behind it, is to be dropped.
func (a *Arguments) drops(one []byte) bool {
	name := one
	if end := bytes.IndexAny(one, "=&"); end >= 0 {
		name = one[:end]
	}
	return glob.Any(a.Drop, unsafe.String(unsafe.SliceData(name), len(name)))
}

// sortArguments sorts args in place by name, leaves empty ones out, and returns the new length.
func sortArguments(args []byte) int {
	var all [maxSorted][]byte
	n := 0
	sorted := true
	for rest := bytes.TrimSuffix(args, ampersand); len(rest) > 0; {
		one, after, _ := bytes.Cut(rest, ampersand)
		if rest = after; len(one) == 0 {
			sorted = false // it goes
			continue
		}
		if n == maxSorted {
			return len(args)
		}
		i := n
		for ; i > 0 && bytes.Compare(argumentName(one), argumentName(all[i-1])) < 0; i-- {
			all[i] = all[i-1]
			sorted = false
		}
		all[i] = one
		n++
	}
	if sorted {
		return len(args)
	}
	// The pieces lie in args itself: they are put together elsewhere. Few requests come here with much.
	var room [256]byte
	out := room[:0]
	for i, one := range all[:n] {
		if i > 0 {
			out = append(out, '&')
		}
		out = append(out, one...)
	}
	return copy(args, out)
}

var ampersand = []byte{'&'}

func argumentName(one []byte) []byte {
	name, _, _ := bytes.Cut(one, []byte{'='})
	return name
}

// Shared returns the target that a fetch for all who share the key of a target has to be made with: what the key does
// not tell apart must not reach the backend either, or whoever comes first decides what the others see. That is the
// target itself, unless the template has $pagegate_args; then its arguments are the kept ones. The target must be one
// that [Template.Append] takes, in origin form; the result aliases it or dst, which it is appended to.
func (t *Template) Shared(dst, target []byte) []byte {
	if !t.hasKept {
		return target
	}
	parts, err := dissect(target)
	if err != nil || !parts.query {
		return target
	}
	base := len(dst)
	dst = append(dst, target[:parts.pathEnd]...)
	dst = append(dst, '?')
	before := len(dst)
	if dst = t.arguments.append(dst, parts.args()); len(dst) == before {
		dst = dst[:before-1]
	}
	return dst[base:]
}
