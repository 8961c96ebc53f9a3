package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestTheNameDecides(t *testing.T) {
	for _, tt := range []struct {
		called   string
		code     int
		out, err string
	}{
		{"/filler", 0, "filler [flags]", ""},
		{"gateway", 0, "gateway [flags]", ""},
		{"/doors", 2, "", "doors: link this file"},
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), tt.called, []string{"--help"}, &out, &errs)
		if code != tt.code || !strings.Contains(out.String(), tt.out) || !strings.Contains(errs.String(), tt.err) {
			t.Errorf("%s: exit code %d\n%s\n%s", tt.called, code, out.String(), errs.String())
		}
	}
}
