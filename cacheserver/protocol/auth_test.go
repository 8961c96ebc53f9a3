package protocol

import "testing"

func TestParseAuth(t *testing.T) {
	for line, want := range map[string]int64{
		"set a 0 0 7": 7, "set  a x y  7 noreply": 7, "set a 0 0 0": 0, "set a 0 0 2147483645": 1<<31 - 3,
		"set a 0 0 2147483646": -1, "set a 0 0 -1": -1, "set a 0 0 x": -1, "set a 0 0": -1, "set": -1, "": -1, "get a": -1,
		"add a 0 0 7": -1, " ": -1, "set a 0 0 99999999999999999999": -1,
	} {
		got, ok := ParseAuth([]byte(line))
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %d, %v", line, got, ok)
		}
	}
}
