package page

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

var anyPage = rapid.Custom(func(t *rapid.T) *Page {
	ms := rapid.Int64Range(1, 1<<42)
	h := http.Header{}
	for range rapid.IntRange(0, 5).Draw(t, "fields") {
		h.Add(rapid.StringMatching(`X-[A-Z][a-z]{1,9}`).Draw(t, "name"), rapid.StringMatching(`[ -~\x80-\xff]{0,30}`).Draw(t, "value"))
	}
	var coded [Codings][]byte
	for c := range coded {
		coded[c] = rapid.SliceOf(rapid.Byte()).Draw(t, "coded")
	}
	return &Page{
		Coded:         coded,
		Status:        rapid.IntRange(200, 599).Draw(t, "status"),
		Header:        AppendHeader(nil, h),
		Body:          rapid.SliceOf(rapid.Byte()).Draw(t, "body"),
		StoredAt:      time.UnixMilli(ms.Draw(t, "stored")),
		FreshUntil:    time.UnixMilli(ms.Draw(t, "fresh")),
		StaleUntil:    time.UnixMilli(ms.Draw(t, "stale")),
		InitialAge:    time.Duration(rapid.IntRange(0, 1<<31).Draw(t, "age")) * time.Second,
		RefreshUntil:  time.UnixMilli(ms.Draw(t, "refresh")),
		Took:          time.Duration(rapid.IntRange(0, 1<<20).Draw(t, "took")) * time.Millisecond,
		Variants:      rapid.Uint64().Draw(t, "variants"),
		NginxReadable: rapid.Bool().Draw(t, "readable"),
		NoStale:       rapid.Bool().Draw(t, "no stale"),
		Immutable:     rapid.Bool().Draw(t, "immutable"),
	}
})

func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPage.Draw(t, "page")
		whole, err := p.AppendRecord([]byte("before"), true)
		if err != nil {
			t.Fatal(err)
		}
		if len(whole)-len("before") != p.RecordLen() {
			t.Fatalf("record of %d bytes, RecordLen says %d", len(whole), p.RecordLen())
		}
		var got Page
		if err := got.DecodeWhole(p.AppendBodies(whole[len("before"):])); err != nil {
			t.Fatal(err)
		}
		same(t, p, &got)

		split, _ := p.AppendRecord(nil, false)
		got = Page{}
		if err := got.DecodeSplit(split, p.Body); err != nil {
			t.Fatal(err)
		}
		plain := *p
		plain.Coded = [Codings][]byte{}
		same(t, &plain, &got)
		if err := new(Page).DecodeSplit(split, append(bytes.Clone(p.Body), 'x')); err == nil {
			t.Fatal("a record was taken for another body's")
		}
		if err := new(Page).DecodeWhole(split); err == nil {
			t.Fatal("a record without its body was taken for a page")
		}
	})
}

func same(t *rapid.T, want, got *Page) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(Page{})); diff != "" {
		t.Fatal(diff)
	}
}

// Any single damaged byte of a record is found.
func TestDamagedRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPage.Draw(t, "page")
		item, _ := p.AppendRecord(nil, true)
		item = append(item, p.Body...)
		i := rapid.IntRange(0, p.RecordLen()-1).Draw(t, "at")
		item[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		if err := new(Page).DecodeWhole(item); err == nil {
			t.Fatalf("damage at %d of %d went unnoticed", i, p.RecordLen())
		}
	})
}

func FuzzDecode(f *testing.F) {
	p := &Page{Status: 200, Header: []byte("A: b\r\n"), Body: []byte("x"), StoredAt: time.UnixMilli(1)}
	whole, _ := p.AppendRecord(nil, true)
	f.Add(append(whole, 'x'))
	split, _ := p.AppendRecord(nil, false)
	f.Add(split)
	f.Add([]byte("pgp\x01"))
	f.Fuzz(func(t *testing.T, item []byte) {
		var p Page
		if p.DecodeWhole(item) == nil {
			p.EachField(func(_, _ []byte) {})
		}
		_ = p.DecodeSplit(item, item)
	})
}

func TestHeaderLineBreaksCannotSplit(t *testing.T) {
	p := Page{Header: AppendHeader(nil, http.Header{"X-A": {"1\r\nSet-Cookie: x"}, "Content-Length": {"9"}, "Age": {"3"}})}
	if got := string(p.Header); got != "X-A: 1  Set-Cookie: x\r\n" {
		t.Errorf("%q", got)
	}
}

func TestTimes(t *testing.T) {
	t0 := time.Unix(1000, 0)
	p := Page{StoredAt: t0, InitialAge: 5 * time.Second, FreshUntil: t0.Add(time.Minute), StaleUntil: t0.Add(time.Hour)}
	for _, tt := range []struct {
		after        time.Duration
		age          string
		fresh, stale bool
	}{
		{0, "5", true, true},
		{-time.Minute, "5", true, true}, // a clock that was set back
		{59 * time.Second, "64", true, true},
		{time.Minute, "65", false, true},
		{time.Hour, "3605", false, false},
	} {
		now := t0.Add(tt.after)
		if age := string(p.AppendAge(nil, now)); age != tt.age || p.Fresh(now) != tt.fresh || p.UsableStale(now) != tt.stale {
			t.Errorf("after %v: age %s, fresh %v, stale %v", tt.after, age, p.Fresh(now), p.UsableStale(now))
		}
	}
	if bare := (&Page{}); !bare.Fresh(t0) || bare.Age(t0) != 0 {
		t.Error("a body that an app stored is fresh while it is there, and of no known age")
	}
}

type releases struct{ n int }

func (r *releases) Release() { r.n++ }

func TestReleaseOnce(t *testing.T) {
	var r releases
	p := &Page{Body: []byte("x")}
	p.SetReleaser(&r)
	p.Release()
	p.Release()
	if r.n != 1 || p.Body != nil {
		t.Errorf("released %d times, body %q", r.n, p.Body)
	}
}
