package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// docs/protocol.md has every flag and every option of -o, and says of those without effect why.
func TestProtocolDocument(t *testing.T) {
	b, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, flags, _ := strings.Cut(string(b), "\n## Flags\n")
	flags, _, _ = strings.Cut(flags, "\n## ")
	o := &options{ext: defaultExtended()}
	o.flags().VisitAll(func(f *pflag.Flag) {
		name := "-" + f.Shorthand
		if f.Shorthand == "" {
			name = "--" + f.Name
		}
		if name != "-o" && !strings.Contains(flags, "`"+name+"`") {
			t.Errorf("%s is not told of", name)
		}
	})
	for _, option := range o.ext.table() {
		name := strings.TrimPrefix(option.name, "no_")
		if !strings.Contains(flags, "`"+option.name+"`") && !strings.Contains(flags, "`"+name+"`") {
			t.Errorf("-o %s is not told of", option.name)
		}
		if option.idle != "" && option.name == name && !strings.Contains(flags, "`"+name+"` | "+option.idle) {
			t.Errorf("-o %s has no effect, and that is not told with its reason: %s", name, option.idle)
		}
	}
}
