package page

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
)

// AppendHeader appends h as a block of field lines in the order of their names, as Page.Header holds it. The fields that
// a cache makes anew for each answer (Content-Length, Age) are left out. A line break in a value, which would end the
// field early, becomes a space (RFC 9110, section 5.5).
func AppendHeader(dst []byte, h http.Header) []byte {
	var space [32]string
	names, size := space[:0], 0
	for name, values := range h {
		if name != "Content-Length" && name != "Age" {
			names = append(names, name)
			for _, value := range values {
				size += len(name) + len(": ") + len(value) + len("\r\n")
			}
		}
	}
	slices.Sort(names)
	dst = slices.Grow(dst, size+tagLen)
	for _, name := range names {
		for _, value := range h[name] {
			dst = append(dst, name...)
			dst = append(dst, ": "...)
			dst = append(dst, lineBreaks.Replace(value)...)
			dst = append(dst, "\r\n"...)
		}
	}
	return dst
}

// tagLen is the room in bytes that an entity tag of this project's takes (Page.Tag).
const tagLen = 64

var lineBreaks = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ")

// nextField cuts the first field line off a block that AppendHeader made.
func nextField(block []byte) (name, value, rest []byte) {
	end := bytes.IndexByte(block, '\n')
	line := block[:end-1]
	colon := bytes.IndexByte(line, ':')
	return line[:colon], line[colon+2:], block[end+1:]
}

// validHeader tells whether a block read back from a cache has the form that AppendHeader gives.
func validHeader(block []byte) bool {
	for len(block) > 0 {
		end := bytes.IndexByte(block, '\n')
		if end < 1 || bytes.IndexByte(block[:end], '\r') != end-1 {
			return false
		}
		colon := bytes.IndexByte(block[:end-1], ':')
		if colon <= 0 || block[colon+1] != ' ' {
			return false
		}
		block = block[end+1:]
	}
	return true
}
