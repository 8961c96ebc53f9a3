package page

import (
	"fmt"
	"strings"
	"testing"
)

// What the coding of a page of 16 KiB costs, each coding by itself.
func BenchmarkEncode(b *testing.B) {
	var text strings.Builder
	for i := 0; text.Len() < 16<<10; i++ {
		fmt.Fprintf(&text, "<li><a href=\"/item/%d\">item %d of the catalogue, %x</a></li>\n", i, i*7919%10007, i*2654435761)
	}
	header := []byte("Content-Type: text/html; charset=utf-8\r\n")
	for c := range Coding(Codings) {
		b.Run(c.String(), func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			for b.Loop() {
				p := Page{Status: 200, Header: header, Body: []byte(text.String())}
				p.Encode([]Coding{c})
			}
		})
	}
}
