package cachecontrol

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseTargeted(t *testing.T) {
	for _, tc := range []struct {
		rule  string
		lines []string
		want  Response
	}{
		{"§2.1", []string{"max-age=60"}, Response{MaxAge: valid(60)}},
		{"§2.1, the mandatory directives of §2.2", []string{"max-age=60, must-revalidate, no-store, no-cache, private"},
			Response{MaxAge: valid(60), MustRevalidate: true, NoStore: true, NoCache: true, Private: true}},
		{"§2.2, the others", []string{"s-maxage=1, stale-while-revalidate=2, stale-if-error=3", "public, immutable",
			"proxy-revalidate, must-understand, no-transform"},
			Response{SMaxAge: valid(1), StaleWhileRevalidate: valid(2), StaleIfError: valid(3), Public: true, Immutable: true,
				ProxyRevalidate: true, MustUnderstand: true, NoTransform: true}},
		{"§3.1, an unknown directive", []string{"none"}, Response{Extensions: []Directive{{Name: "none"}}}},
		{"§2.1, field names in a String", []string{`no-cache="a, b", private="set-cookie"`},
			Response{NoCacheFields: []string{"A", "B"}, PrivateFields: []string{"Set-Cookie"}}},
		{"§2.1, a field name in a Token", []string{"private=a"}, Response{PrivateFields: []string{"A"}}},
		{"§2.1, parameters are ignored", []string{`max-age=60;x=1, no-store;y, private="a";z`},
			Response{MaxAge: valid(60), NoStore: true, PrivateFields: []string{"A"}}},
		{"RFC 9651 §4.2.2, the last value counts", []string{"max-age=1, no-store", "max-age=2, no-store=?0"},
			Response{MaxAge: valid(2)}},
		{"RFC 9111 §1.2.2", []string{"max-age=2147483648, s-maxage=999999999999999"},
			Response{MaxAge: valid(1 << 31), SMaxAge: valid(1 << 31)}},

		// §2.1: values of the wrong type are not used.
		{"numbers: String", []string{`max-age="60"`}, Response{MaxAge: invalid}},
		{"numbers: Token", []string{"max-age=a60"}, Response{MaxAge: invalid}},
		{"numbers: Decimal", []string{"max-age=60.5"}, Response{MaxAge: invalid}},
		{"numbers: negative", []string{"max-age=-60"}, Response{MaxAge: invalid}},
		{"numbers: Boolean", []string{"max-age, s-maxage=?0"}, Response{MaxAge: invalid, SMaxAge: invalid}},
		{"numbers: Inner List", []string{"stale-if-error=(60)"}, Response{StaleIfError: invalid}},
		{"numbers: Date", []string{"stale-while-revalidate=@60"}, Response{StaleWhileRevalidate: invalid}},
		{"field names: Integer", []string{"private=5, no-cache=5.0"}, Response{Private: true, NoCache: true}},
		{"field names: Inner List", []string{`private=("a" "b")`}, Response{Private: true}},
		{"field names: Byte Sequence", []string{"no-cache=:YQ==:"}, Response{NoCache: true}},
		{"field names: empty String", []string{`private="", no-cache=" ,"`}, Response{Private: true, NoCache: true}},
		{"field names: malformed", []string{`private="a b", no-cache=a/b`}, Response{Private: true, NoCache: true}},
		{"restrictions count whatever their value", []string{`no-store=1, must-revalidate="x", proxy-revalidate=(), no-transform=a`},
			Response{NoStore: true, MustRevalidate: true, ProxyRevalidate: true, NoTransform: true}},
		{"must-understand does not lift no-store", []string{"no-store, must-understand=1"}, Response{NoStore: true}},
		{"public counts only if it is true", []string{`public=1, foo`}, Response{Extensions: []Directive{{Name: "foo"}}}},
		{"false is absent", []string{"no-store=?0, no-cache=?0, private=?0, public=?0, immutable=?0, foo=?0"}, Response{}},
		{"extensions", []string{`a=1, b=1.50, c="x y", d=tok, e=a/b, f, g=?0, h=(1), i=:YQ==:, j=@1, k=%"x"`},
			Response{Extensions: []Directive{
				{Name: "a", Value: "1", HasValue: true},
				{Name: "b", Value: "1.5", HasValue: true},
				{Name: "c", Value: "x y", HasValue: true, Quoted: true},
				{Name: "d", Value: "tok", HasValue: true},
				{Name: "e", Value: "a/b", HasValue: true, Quoted: true},
				{Name: "f"},
			}}},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			r, ok := ParseTargeted(tc.lines)
			require.True(t, ok)
			require.Equal(t, tc.want, r)
		})
	}
}

// TestParseTargetedIgnores checks that a field that is empty or cannot be parsed is ignored as a
// whole (RFC 9213 §2.1).
func TestParseTargetedIgnores(t *testing.T) {
	for _, lines := range [][]string{
		nil,
		{""},
		{"  "},
		{"no-store, max-age=10000, &&&&&"},
		{"Max-Age=60"},
		{"max-age=60,"},
		{"max-age=60", ""},
		{"max-age=60; no-store, ="},
		{"max-age= 60"},
		{"max-age=1000000000000000"},
		{`no-store, ext="abc`},
		{`no-store, ext="\a"`},
		{"no-store, ext=\"é\""},
		{"no-store no-cache"},
	} {
		r, ok := ParseTargeted(lines)
		require.False(t, ok, "%q", lines)
		require.Equal(t, Response{}, r, "%q", lines)
	}
}
