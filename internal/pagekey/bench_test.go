package pagekey_test

import (
	"testing"

	"pagegate/internal/pagekey"
)

func BenchmarkAppend(b *testing.B) {
	for name, target := range map[string]string{
		"plain":  "/blog/2024/some-article.html?page=2",
		"normal": "/blog//2024/../some%20article.html?page=2",
	} {
		b.Run(name, func(b *testing.B) {
			raw, dst := []byte(target), make([]byte, 0, 256)
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = pagekey.Append(dst[:0], raw)
			}
		})
	}
}

func BenchmarkTemplate(b *testing.B) {
	template, err := pagekey.Parse("$host$uri?$args$cookie_lang")
	if err != nil {
		b.Fatal(err)
	}
	r := pagekey.Request{
		Target: []byte("/blog/2024/some-article.html?page=2"), Host: []byte("www.example.com"),
		Fields: fieldLines{"Cookie: session=0123456789abcdef; lang=en"},
	}
	dst := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = template.Append(dst[:0], &r)
	}
}
