package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// Load reads a YAML file over c. Fields that the file does not name keep their values. The lines that it returns tell
// where each field stands, for the errors of a later Validate.
func (c *Config) Load(file string) (Lines, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Lines{}, fmt.Errorf("config: %w", err)
	}
	lines := Lines{file: file, at: make(map[string]int)}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return lines, lines.yamlError(err)
	}
	lines.collect("", &doc)
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(c); err != nil && !errors.Is(err, io.EOF) { // an empty file says nothing, which is allowed
		return lines, lines.yamlError(err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return lines, fmt.Errorf("%s: only one YAML document is read; remove the `---` and what follows", file)
	}
	return lines, nil
}

// Lines knows on which line of a file each field stands, by its dotted name.
type Lines struct {
	file string
	at   map[string]int
}

func (l Lines) collect(prefix string, n *yaml.Node) {
	switch n.Kind {
	case yaml.DocumentNode:
		for _, child := range n.Content {
			l.collect(prefix, child)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := prefix + n.Content[i].Value
			l.at[name] = n.Content[i].Line
			l.collect(name+".", n.Content[i+1])
		}
	case yaml.SequenceNode:
		for i, child := range n.Content {
			name := fmt.Sprintf("%s[%d]", strings.TrimSuffix(prefix, "."), i)
			l.at[name] = child.Line
			l.collect(name+".", child)
		}
	}
}

// where is how an error speaks of a field: by file and line if it came from there, else as the flag's value.
func (l Lines) where(field string) string {
	if line, ok := l.at[field]; ok {
		return fmt.Sprintf("%s:%d: %s", l.file, line, field)
	}
	return field
}

var (
	yamlLine    = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)
	yamlUnknown = regexp.MustCompile(`^field (\S+) not found in type config\.(\S+)$`)
	yamlTwice   = regexp.MustCompile(`^mapping key "(.*)" already defined at line (\d+)$`)
)

// yamlError words the YAML library's errors as this program's: file:line: what is wrong.
func (l Lines) yamlError(err error) error {
	var many *yaml.TypeError
	texts := []string{err.Error()}
	if errors.As(err, &many) {
		texts = many.Errors
	}
	var errs []error
	for _, text := range texts {
		m := yamlLine.FindStringSubmatch(text)
		if m == nil {
			errs = append(errs, fmt.Errorf("%s: %s", l.file, strings.TrimPrefix(text, "yaml: ")))
			continue
		}
		what := m[2]
		if u := yamlUnknown.FindStringSubmatch(what); u != nil {
			what = fmt.Sprintf("unknown field %q: see configs/ for the fields that there are", u[1])
		} else if t := yamlTwice.FindStringSubmatch(what); t != nil {
			what = fmt.Sprintf("field %q is given twice, first on line %s", t[1], t[2])
		}
		errs = append(errs, fmt.Errorf("%s:%s: %s", l.file, m[1], what))
	}
	return errors.Join(errs...)
}
