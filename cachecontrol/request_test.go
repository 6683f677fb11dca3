package cachecontrol

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseRequest(t *testing.T) {
	for _, tc := range []struct {
		rule  string
		lines []string
		want  Request
	}{
		{"absent", nil, Request{}},
		{"an empty line", []string{""}, Request{}},

		// RFC 9111 §5.2.1
		{"§5.2.1.1", []string{"max-age=60"}, Request{MaxAge: valid(60)}},
		{"§5.2.1.1, reload", []string{"max-age=0"}, Request{MaxAge: valid(0)}},
		{"§5.2.1.2", []string{"max-stale=60"}, Request{MaxStale: valid(60)}},
		{"§5.2.1.2, any staleness", []string{"Max-Stale"}, Request{MaxStaleAny: true}},
		{"§5.2.1.3", []string{"min-fresh=60"}, Request{MinFresh: valid(60)}},
		{"§5.2.1.4", []string{"no-cache"}, Request{NoCache: true}},
		{"§5.2.1.4, among others", []string{"No-Cache, no-transform", "max-age=0"},
			Request{NoCache: true, NoTransform: true, MaxAge: valid(0)}},
		{"§5.2.1.5", []string{"no-store"}, Request{NoStore: true}},
		{"§5.2.1.6", []string{"no-transform"}, Request{NoTransform: true}},
		{"§5.2.1.7", []string{"only-if-cached"}, Request{OnlyIfCached: true}},
		{"RFC 5861 §4", []string{"stale-if-error=60"}, Request{StaleIfError: valid(60)}},
		{"RFC 5861 §4, zero", []string{"stale-if-error=0"}, Request{StaleIfError: valid(0)}},
		{"RFC 8246 §2: immutable has no effect here", []string{"immutable"},
			Request{Extensions: []Directive{{Name: "immutable"}}}},
		{"§5.2.3", []string{`a=1, B="c d"`}, Request{Extensions: []Directive{
			{Name: "a", Value: "1", HasValue: true},
			{Name: "b", Value: "c d", HasValue: true, Quoted: true},
		}}},

		// Arguments that do not fit.
		{"restrictions count whatever the argument", []string{`no-cache=x, no-store="", no-transform=`},
			Request{NoCache: true, NoStore: true, NoTransform: true}},
		{"only-if-cached with an argument is ignored", []string{"only-if-cached=1"}, Request{}},
		{"max-stale with an argument that is not a number", []string{"max-stale=x"}, Request{MaxStale: invalid}},
		{"max-stale with an empty argument", []string{"max-stale="}, Request{MaxStale: invalid}},
		{"numbers with an argument that is not a number", []string{"max-age=x, stale-if-error=x, min-fresh=x"},
			Request{MaxAge: invalid, StaleIfError: invalid, MinFresh: invalid}},

		// Duplicates: the first counts.
		{"max-age twice", []string{"max-age=1, max-age=2"}, Request{MaxAge: valid(1)}},
		{"max-stale with, then without argument", []string{"max-stale=1, max-stale"}, Request{MaxStale: valid(1)}},
		{"max-stale without, then with argument", []string{"max-stale, max-stale=1, max-stale =2"}, Request{MaxStaleAny: true}},
		{"max-stale invalid, then without argument", []string{"max-stale=x, max-stale"}, Request{MaxStale: invalid}},

		// Malformed neighbours.
		{"a quote not closed", []string{`no-cache, ext="abc, no-store, max-stale, only-if-cached`},
			Request{NoCache: true, NoStore: true, MaxStale: invalid}},
		{"semicolons", []string{"no-cache; max-age=60"}, Request{NoCache: true, MaxAge: invalid}},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			require.Equal(t, tc.want, ParseRequest(tc.lines, nil))
		})
	}
}

func TestRequestString(t *testing.T) {
	for _, tc := range []struct {
		line, want string
	}{
		{"", ""},
		{"max-age=x", "max-age=0"},
		{"max-stale", "max-stale"},
		{`a="b c", no-transform, stale-if-error=4, min-fresh=3, max-stale=2, max-age=1, only-if-cached, no-cache, no-store`,
			`no-store, no-cache, only-if-cached, max-age=1, max-stale=2, min-fresh=3, stale-if-error=4, no-transform, a="b c"`},
	} {
		require.Equal(t, tc.want, ParseRequest([]string{tc.line}, nil).String())
	}
}

// TestReloadAllocatesNothing checks that the fields of a browser's reload are parsed without
// allocation: they come with every such request.
func TestReloadAllocatesNothing(t *testing.T) {
	for _, line := range []string{"no-cache", "max-age=0"} {
		lines := []string{line}
		require.Zero(t, testing.AllocsPerRun(10, func() { ParseRequest(lines, nil) }), line)
		require.Equal(t, ParseRequest([]string{" " + line}, nil), ParseRequest(lines, nil), "the special case differs from the general one")
	}
}
