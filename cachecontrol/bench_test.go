package cachecontrol

import (
	"strings"
	"testing"
)

func BenchmarkParseResponse(b *testing.B) {
	for _, bc := range []struct{ name, line string }{
		{"one", "max-age=60"},
		{"usual", "public, max-age=31536000, immutable"},
		{"many", `private="set-cookie", no-cache, max-age=0, s-maxage=60, must-revalidate, community="UCI"`},
		{"malformed", `max-age=60, ext="abc, no-store`},
		{"64KiB", strings.Repeat(`a="b", `, 64<<10/7)},
		{"1MiB", strings.Repeat(`a="b", `, 1<<20/7)},
	} {
		b.Run(bc.name, func(b *testing.B) {
			lines := []string{bc.line}
			b.ReportAllocs()
			b.SetBytes(int64(len(bc.line)))
			for b.Loop() {
				ParseResponse(lines, nil)
			}
		})
	}
}

func BenchmarkParseRequest(b *testing.B) {
	for _, bc := range []struct{ name, line string }{
		{"reload", "max-age=0"},
		{"one", "max-stale=60"},
		{"two", "no-cache, no-store"},
	} {
		b.Run(bc.name, func(b *testing.B) {
			lines := []string{bc.line}
			b.ReportAllocs()
			for b.Loop() {
				ParseRequest(lines, nil)
			}
		})
	}
}

func BenchmarkParseTargeted(b *testing.B) {
	lines := []string{`max-age=60, must-revalidate, private="set-cookie"`}
	b.ReportAllocs()
	for b.Loop() {
		ParseTargeted(lines)
	}
}
