package server

import (
	"io"
	"net"
	"strings"
	"testing"

	"pagegate/cacheserver/store"
)

// Who has said all at once, and that there is no more, is answered in full though others have their turns meanwhile.
func TestAnswersAfterEndOfInput(t *testing.T) {
	addr, _ := start(t, Config{Workers: 1, MaxRequests: 1}, store.Config{})
	for range 20 {
		c := dial(t, addr)
		c.ask(t, strings.Repeat("mn\r\n", 500), "")
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c.r)
		if err != nil || len(got) != 500*len("MN\r\n") {
			t.Fatalf("%d of 500 answers, %v", len(got)/len("MN\r\n"), err)
		}
	}
}
