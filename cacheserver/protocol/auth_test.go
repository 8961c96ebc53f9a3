package protocol

import "testing"

func TestParseAuth(t *testing.T) {
	for line, want := range map[string]int64{
		"set a 0 0 7": 7, "set  a x y  7 noreply": 7, "set a 0 0 0": 0, "set a 0 0 4294967295": 1<<32 - 1, "setting a 0 0 7": 7,
		"set a 0 0 4294967296": -1, "set a 0 0 -1": -1, "set a 0 0 x": -1, "set a 0 0": -1, "set": -1, "": -1, "get a": -1,
		"add a 0 0 7": -1, " ": -1, "set a 0 0 99999999999999999999": -1,
	} {
		got, ok := ParseAuth([]byte(line + "\r"))
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %d, %v", line, got, ok)
		}
	}
	if length, ok := ParseAuth([]byte("set a 0 0 77")); !ok || length != 7 {
		t.Errorf("without a CR: %d, %v", length, ok)
	}
}
