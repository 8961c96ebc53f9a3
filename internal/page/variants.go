package page

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Variants: where the backend says that a page depends on request fields (Vary, RFC 9111, section 4.1), a mark stands
// under the page key, and each variant is a page of its own under a key made of the page key, the mark's number and the
// values of those fields. A new mark has a new number, so that one deletion, of the mark, takes away all variants.

// maxVariantLife bounds how long a mark stands; what it names has gone by then.
const maxVariantLife = 24 * time.Hour

// NewMark makes the mark of a key whose pages vary by the request fields names (canonical, in order). number tells its
// variants from those of an earlier mark; it must not be 0.
func NewMark(names []string, number uint64, now, until time.Time) *Page {
	if latest := now.Add(maxVariantLife); until.After(latest) {
		until = latest
	}
	return &Page{
		Header:     []byte("Vary: " + strings.Join(names, ", ") + "\r\n"),
		Variants:   number,
		StoredAt:   now,
		FreshUntil: until,
		StaleUntil: until,
	}
}

// MarkNames returns the request fields that a mark names. The strings are copies.
func (p *Page) MarkNames() []string {
	return strings.Split(string(p.Field("Vary")), ", ")
}

// variantPrefix starts the key of a variant. No page key starts with a control byte: it is a path or has a host before it.
const variantPrefix = "\x01"

// AppendVariantKey appends the key under which the variant of a page for a request stands. number is the mark's, names
// are its fields; values are the request's for them, in the same order, "" for none. The key does not grow with the values, and
// nobody can make two requests' keys collide (SHA-256, 128 bits of it).
func AppendVariantKey(dst, key []byte, number uint64, names, values []string) []byte {
	in := make([]byte, 0, 512)
	in = binary.LittleEndian.AppendUint64(in, number)
	in = binary.AppendUvarint(in, uint64(len(key)))
	in = append(in, key...)
	for i, v := range values {
		at := len(in)
		in = append(in, 0, 0, 0, 0)
		if names[i] == "Accept-Language" {
			in = appendLanguages(in, v)
		} else {
			in = appendNormal(in, v)
		}
		binary.LittleEndian.PutUint32(in[at:], uint32(len(in)-at))
	}
	sum := sha256.Sum256(in)
	return hex.AppendEncode(append(dst, variantPrefix...), sum[:16])
}

// appendNormal appends a field's value with the white space around its commas made alike, which the RFC allows.
func appendNormal(dst []byte, value string) []byte {
	first := true
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.Trim(item, " \t"); item == "" {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		dst, first = append(dst, item...), false
	}
	return dst
}

// language is one of those that a client likes, and how much.
type language struct {
	tag    string
	weight int // thousandths
}

// appendLanguages appends an Accept-Language field so that two that mean the same are alike: white space, the case of the
// tags, and in which order they stand are nothing that it says (RFC 9110, section 12.5.4).
func appendLanguages(dst []byte, value string) []byte {
	var room [16]language
	liked := room[:0]
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.Trim(item, " \t"); item == "" {
			continue
		}
		tag, params, weighted := strings.Cut(item, ";")
		l := language{strings.ToLower(strings.TrimRight(tag, " \t")), 1000}
		if weighted {
			var ok bool
			if l.weight, ok = qvalue(params); !ok {
				return appendNormal(dst, value)
			}
		}
		liked = append(liked, l)
	}
	slices.SortFunc(liked, func(a, b language) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), strings.Compare(a.tag, b.tag))
	})
	for _, l := range liked {
		dst = strconv.AppendInt(append(append(dst, l.tag...), ';'), int64(l.weight), 10)
		dst = append(dst, ',')
	}
	return dst
}

// qvalue reads `q=0.5`, to the letter, in thousandths (RFC 9110, section 12.4.2).
func qvalue(param string) (int, bool) {
	param = strings.Trim(param, " \t")
	if len(param) < 3 || len(param) > len("q=0.000") || param[0]|0x20 != 'q' || param[1] != '=' {
		return 0, false
	}
	whole, fraction, _ := strings.Cut(param[2:], ".")
	n, err := strconv.ParseUint(whole+(fraction + "000")[:3], 10, 16)
	return int(n), err == nil && n <= 1000 && len(whole) == 1
}

// IsVariantKey tells whether a key is a variant's.
func IsVariantKey(key []byte) bool { return strings.HasPrefix(string(key), variantPrefix) }

// SameNames tells whether a mark names just these request fields.
func (p *Page) SameNames(names []string) bool { return p.Mark() && slices.Equal(p.MarkNames(), names) }
