package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"gopkg.in/yaml.v3"
)

// Duration is a time span as Go writes it: 500ms, 60s, 1h30m; 0 needs no unit.
type Duration time.Duration

// Set parses a span; it makes Duration a flag's value.
func (d *Duration) Set(s string) error {
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is no time span: write a number with a unit, such as 500ms, 60s or 1h", s)
	}
	if v < 0 {
		return fmt.Errorf("%q is negative", s)
	}
	*d = Duration(v)
	return nil
}

// String is the span as Set reads it.
func (d Duration) String() string { return time.Duration(d).String() }

// Type names the kind of value in a flag's help.
func (d *Duration) Type() string { return "time" }

// Size is a number of bytes: 64MiB, 1GB, 4096.
type Size int64

// Set parses a size; it makes Size a flag's value.
func (b *Size) Set(s string) error {
	v, err := humanize.ParseBytes(s)
	if err != nil || v > 1<<50 {
		return fmt.Errorf("%q is no size: write a number of bytes or with a unit, such as 64MiB or 1GiB", s)
	}
	*b = Size(v)
	return nil
}

// String is the size as Set reads it.
func (b Size) String() string {
	const mib = 1 << 20
	if b >= mib && b%mib == 0 {
		return fmt.Sprintf("%dMiB", b/mib)
	}
	return fmt.Sprintf("%dB", int64(b))
}

// Type names the kind of value in a flag's help.
func (b *Size) Type() string { return "size" }

// UnmarshalYAML reads a span and names its line when it is none.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error { return scalar(n, d.Set) }

// UnmarshalYAML reads a size and names its line when it is none.
func (b *Size) UnmarshalYAML(n *yaml.Node) error { return scalar(n, b.Set) }

func scalar(n *yaml.Node, set func(string) error) error {
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: want a single value", n.Line)
	}
	if err := set(n.Value); err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	return nil
}

// List is a list of strings; as a flag's value it is comma-separated, and given anew it replaces the old one.
type List []string

// Set reads a comma-separated list.
func (l *List) Set(s string) error {
	*l = nil
	for _, item := range strings.Split(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			*l = append(*l, item)
		}
	}
	return nil
}

// String is the list as Set reads it.
func (l List) String() string { return strings.Join(l, ",") }

// Type names the kind of value in a flag's help.
func (l *List) Type() string { return "addr,..." }

// UnmarshalYAML reads a list, or a single value as a list of one.
func (l *List) UnmarshalYAML(n *yaml.Node) error {
	switch n.Kind {
	case yaml.SequenceNode:
		*l = make(List, 0, len(n.Content))
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				return fmt.Errorf("line %d: want a list of single values", item.Line)
			}
			*l = append(*l, item.Value)
		}
		return nil
	case yaml.ScalarNode:
		if *l = nil; n.Value != "" {
			*l = List{n.Value}
		}
		return nil
	}
	return fmt.Errorf("line %d: want a list", n.Line)
}

// AccessLog says which requests are logged.
type AccessLog string

// Kinds of access logs.
const (
	AccessOff    AccessLog = "off"
	AccessMisses AccessLog = "misses" // all but plain hits
	AccessAll    AccessLog = "all"
)

// Set reads a kind; true stands for misses, false for off.
func (a *AccessLog) Set(s string) error {
	switch s {
	case "off", "false":
		*a = AccessOff
	case "misses", "true":
		*a = AccessMisses
	case "all":
		*a = AccessAll
	default:
		return fmt.Errorf("%q: want off, misses or all", s)
	}
	return nil
}

// String is the kind as Set reads it.
func (a *AccessLog) String() string { return string(*a) }

// Type names the kind of value in a flag's help.
func (a *AccessLog) Type() string { return "off|misses|all" }

// UnmarshalYAML reads a kind and names its line when it is none.
func (a *AccessLog) UnmarshalYAML(n *yaml.Node) error { return scalar(n, a.Set) }
