// Package doortest holds what every door is tried with, wherever it is tested: alone, or as a program.
package doortest

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// Host is the field that the requests of this package have.
const Host = "Host: client.example\r\n"

// What the door under attack has behind it: a page in the cache that is asked for before an attack reads Hit, and whatever
// reaches the backend is answered with Reached.
const (
	Hit     = "hit"
	Reached = "reached"
)

// Smuggling are requests whose end two readers could see at different places, by what is wrong with them.
var Smuggling = map[string]string{
	"CL.TE":                        "POST /a HTTP/1.1\r\n" + Host + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"TE.CL":                        "POST /a HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
	"two lengths that differ":      "POST /a HTTP/1.1\r\n" + Host + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
	"a list of lengths":            "POST /a HTTP/1.1\r\n" + Host + "Content-Length: 4, 5\r\n\r\nabcde",
	"a signed length":              "POST /a HTTP/1.1\r\n" + Host + "Content-Length: +4\r\n\r\nabcd",
	"a negative length":            "POST /a HTTP/1.1\r\n" + Host + "Content-Length: -1\r\n\r\n",
	"a hexadecimal length":         "POST /a HTTP/1.1\r\n" + Host + "Content-Length: 0x4\r\n\r\nabcd",
	"an empty length":              "POST /a HTTP/1.1\r\n" + Host + "Content-Length: \r\n\r\n",
	"a huge length":                "POST /a HTTP/1.1\r\n" + Host + "Content-Length: 99999999999999999999\r\n\r\n",
	"obs-fold":                     "GET /a HTTP/1.1\r\n" + Host + "X-A: 1\r\n 2\r\n\r\n",
	"a folded length":              "POST /a HTTP/1.1\r\n" + Host + "Content-Length:\r\n 4\r\n\r\nabcd",
	"white space before the colon": "POST /a HTTP/1.1\r\n" + Host + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
	"white space before a name":    "GET /a HTTP/1.1\r\n " + Host + "\r\n",
	"bare LF in the head":          "GET /a HTTP/1.1\nHost: client.example\n\n",
	"bare LF of the request line":  "GET /a HTTP/1.1\n" + Host + "\r\n",
	"bare LF of a POST's line":     "POST /a HTTP/1.1\n" + Host + "Content-Length: 4\r\n\r\nabcd",
	"bare LF at the head's end":    "GET /a HTTP/1.1\r\n" + Host + "\n",
	"bare LF between fields":       "GET /a HTTP/1.1\r\nX-A: 1\n" + Host + "\r\n",
	"bare CR in a value":           "GET /a HTTP/1.1\r\n" + Host + "X-A: 1\rX-B: 2\r\n\r\n",
	"NUL in a value":               "GET /a HTTP/1.1\r\n" + Host + "X-A: 1\x002\r\n\r\n",
	"a field without a colon":      "GET /a HTTP/1.1\r\n" + Host + "Nonsense\r\n\r\n",
	"a field without a name":       "GET /a HTTP/1.1\r\n" + Host + ": x\r\n\r\n",
	"a name that is no token":      "GET /a HTTP/1.1\r\n" + Host + "X(A): x\r\n\r\n",
	"an unknown coding":            "POST /a HTTP/1.1\r\n" + Host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
	"chunked not last":             "POST /a HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
	"chunked twice":                "POST /a HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"a coding in HTTP/1.0":         "POST /a HTTP/1.0\r\n" + Host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"a coding with a tab":          "POST /a HTTP/1.1\r\n" + Host + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
	"a chunk size that is none":    "POST /a HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
	"a chunk size with a sign":     "POST /a HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n",
	"a chunk longer than its size": "POST /a HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
	"a chunk size ended by LF":     "POST /a HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
	"a chunk extension with LF":    "POST /a HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n0\r\n\r\n",
	"a huge chunk":                 "POST /a HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
	"two hosts":                    "GET /a HTTP/1.1\r\n" + Host + "Host: other.example\r\n\r\n",
	"no host":                      "GET /a HTTP/1.1\r\n\r\n",
	"a host with a path":           "GET /a HTTP/1.1\r\nHost: client.example/evil\r\n\r\n",
	"a target with a space":        "GET /a b HTTP/1.1\r\n" + Host + "\r\n",
	"a target with a tab":          "GET /a\tb HTTP/1.1\r\n" + Host + "\r\n",
	"an unknown version":           "GET /a HTTP/9.9\r\n" + Host + "\r\n",
	"a method that is no token":    "G(T /a HTTP/1.1\r\n" + Host + "\r\n",
}

// Sender puts an attack on a connection.
type Sender func(c net.Conn, attack string) error

// Whole is the Sender that writes it in one piece.
func Whole(c net.Conn, attack string) error {
	_, err := io.WriteString(c, attack)
	return err
}

// Refused has the attack of that name in Smuggling sent, with a request behind it that nobody may take for one, and wants a
// refusal, nothing else behind the hits that send asks for before it, and the end of the connection.
func Refused(t testing.TB, name string, c net.Conn, send Sender) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if err := send(c, Smuggling[name]+"GET /smuggled HTTP/1.1\r\n"+Host+"\r\n"); err != nil {
		t.Logf("%s: the connection was closed while writing: %v", name, err)
	}
	all, err := io.ReadAll(c)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("%s: the connection stays open: %v", name, err)
	}
	text := string(all)
	for strings.HasPrefix(text, "HTTP/1.1 200 ") && strings.Contains(text, "\r\n\r\n"+Hit) {
		_, text, _ = strings.Cut(text, "\r\n\r\n"+Hit)
	}
	if text == "" && err != nil {
		return // reset before the answer could be read
	}
	if !strings.HasPrefix(text, "HTTP/1.1 400 ") && !strings.HasPrefix(text, "HTTP/1.1 505 ") && !strings.HasPrefix(text, "HTTP/1.1 501 ") {
		t.Errorf("%s: answered %q", name, text)
	}
	if strings.Count(text, "HTTP/1.1 ") > 1 || strings.Contains(text, Reached) {
		t.Errorf("%s: what followed was taken for a request: %q", name, text)
	}
}
