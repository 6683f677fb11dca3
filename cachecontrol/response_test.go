package cachecontrol

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// valid returns a valid Delta.
func valid(seconds int64) Delta {
	return Delta{Duration: time.Duration(seconds) * time.Second, Present: true, Valid: true}
}

// invalid is a Delta whose argument was not a number.
var invalid = Delta{Present: true}

func TestParseResponse(t *testing.T) {
	for _, tc := range []struct {
		rule  string
		lines []string
		want  Response
	}{
		{"absent", nil, Response{}},
		{"an empty line", []string{""}, Response{}},
		{"only empty elements, RFC 9110 §5.6.1.2", []string{" ,\t, ,"}, Response{}},

		// RFC 9111 §5.2.2
		{"§5.2.2.5", []string{"no-store"}, Response{NoStore: true}},
		{"§5.2.2.6", []string{"no-transform"}, Response{NoTransform: true}},
		{"§5.2.2.2", []string{"must-revalidate"}, Response{MustRevalidate: true}},
		{"§5.2.2.8", []string{"proxy-revalidate"}, Response{ProxyRevalidate: true}},
		{"§5.2.2.3", []string{"must-understand, no-store"}, Response{MustUnderstand: true, NoStore: true}},
		{"§5.2.2.9", []string{"public"}, Response{Public: true}},
		{"§5.2.2.1", []string{"max-age=60"}, Response{MaxAge: valid(60)}},
		{"§5.2.2.10", []string{"s-maxage=60"}, Response{SMaxAge: valid(60)}},
		{"RFC 5861 §3", []string{"stale-while-revalidate=60"}, Response{StaleWhileRevalidate: valid(60)}},
		{"RFC 5861 §4", []string{"stale-if-error=60"}, Response{StaleIfError: valid(60)}},
		{"RFC 8246 §2", []string{"immutable"}, Response{Immutable: true}},
		{"RFC 8246 §2: arguments are ignored", []string{"immutable=x"}, Response{Immutable: true}},
		{"§5.2: names without regard to case", []string{"No-StORE, MAX-AGE=1"}, Response{NoStore: true, MaxAge: valid(1)}},
		{"§5.2: lists with whitespace and empty elements", []string{"\t,public ,, \tmax-age=1 ,"},
			Response{Public: true, MaxAge: valid(1)}},
		{"several lines", []string{"max-age=1", "", "no-store, public"},
			Response{MaxAge: valid(1), NoStore: true, Public: true}},

		// Qualified forms.
		{"§5.2.2.4", []string{"no-cache"}, Response{NoCache: true}},
		{"§5.2.2.4, qualified", []string{`no-cache="set-cookie, X-TOKEN"`},
			Response{NoCacheFields: []string{"Set-Cookie", "X-Token"}}},
		{"§5.2.2.4, token form", []string{"no-cache=set-cookie, public"},
			Response{NoCacheFields: []string{"Set-Cookie"}, Public: true}},
		{"§5.2.2.7", []string{"private"}, Response{Private: true}},
		{"§5.2.2.7, qualified", []string{`private="a,,b,A"`}, Response{PrivateFields: []string{"A", "B"}}},
		{"§5.2.2.7, token form", []string{"private=a"}, Response{PrivateFields: []string{"A"}}},
		{"§5.2.2.7, quoted pairs", []string{`private="\a\b"`}, Response{PrivateFields: []string{"Ab"}}},
		{"qualified lists add up", []string{`private="a"`, `private="b, a"`}, Response{PrivateFields: []string{"A", "B"}}},
		{"unqualified covers qualified", []string{`private="a", private`}, Response{Private: true}},
		{"qualified does not narrow unqualified", []string{`no-cache, no-cache="a"`}, Response{NoCache: true}},
		{"empty list", []string{`private="", no-cache=" , "`}, Response{Private: true, NoCache: true}},
		{"no argument behind the equals sign", []string{"private=, no-cache="}, Response{Private: true, NoCache: true}},
		{"a list of names that cannot be fields", []string{`private="a b", no-cache="a;b"`}, Response{Private: true, NoCache: true}},
		{"one name of several is malformed", []string{`private="a, (b)"`}, Response{Private: true}},
		{"an argument that is no token", []string{"no-cache=a/b"}, Response{NoCache: true}},
		{"junk behind the list", []string{`private="a"b`}, Response{Private: true}},
		{"whitespace before the list", []string{`private= "a", public`}, Response{Private: true, Public: true}},
		{"a list not closed", []string{`private="a, b`}, Response{Private: true}},

		// Arguments where none belongs.
		{"restrictions count whatever the argument",
			[]string{`no-store=x, no-transform="", must-revalidate=1, proxy-revalidate=?0`},
			Response{NoStore: true, NoTransform: true, MustRevalidate: true, ProxyRevalidate: true}},
		{"public counts only without an argument", []string{"public=x"}, Response{}},
		{"must-understand with an argument restricts", []string{"must-understand=1"}, Response{MustUnderstand: true}},
		{"must-understand with an argument does not lift no-store", []string{"must-understand=1, no-store"}, Response{NoStore: true}},

		// Duplicates and conflicts, §4.2.1.
		{"the first value counts", []string{"max-age=1, max-age=2", "max-age=3"}, Response{MaxAge: valid(1)}},
		{"the first value counts even if it is invalid", []string{"s-maxage=x, s-maxage=2"}, Response{SMaxAge: invalid}},
		{"the first value counts even if it is malformed", []string{"max-age =1, max-age=2"}, Response{MaxAge: invalid}},
		{"a later value that is invalid changes nothing", []string{"max-age=1, max-age=x"}, Response{MaxAge: valid(1)}},
		{"conflicts are all reported", []string{"public, private, max-age=1, no-store"},
			Response{Public: true, Private: true, MaxAge: valid(1), NoStore: true}},

		// Extensions, §5.2.3.
		{"extensions in order", []string{`Foo, community="UC\I", bar=1, foo`}, Response{Extensions: []Directive{
			{Name: "foo"},
			{Name: "community", Value: "UCI", HasValue: true, Quoted: true},
			{Name: "bar", Value: "1", HasValue: true},
			{Name: "foo"},
		}}},
		{"an extension's argument is no directive", []string{`ext="no-store, max-age=5", ext=private, public`},
			Response{Public: true, Extensions: []Directive{
				{Name: "ext", Value: "no-store, max-age=5", HasValue: true, Quoted: true},
				{Name: "ext", Value: "private", HasValue: true},
			}}},
		{"escaped quotes do not close the string", []string{`ext="a\", no-store", public`},
			Response{Public: true, Extensions: []Directive{{Name: "ext", Value: `a", no-store`, HasValue: true, Quoted: true}}}},
		{"request directives mean nothing here", []string{"only-if-cached"},
			Response{Extensions: []Directive{{Name: "only-if-cached"}}}},

		// Malformed neighbours.
		{"malformed extensions are dropped", []string{`ext=, =x, a b, (c), é, public`}, Response{Public: true}},
		{"control characters", []string{"ext=\"a\x01\", public"}, Response{Public: true}},
		{"semicolons instead of commas", []string{"no-cache; no-store; max-age=60; public"},
			Response{NoCache: true, NoStore: true, MaxAge: invalid}},
		{"nothing instead of commas", []string{"private max-age=60"}, Response{Private: true, MaxAge: invalid}},
		{"arguments are not names", []string{`community = "private", ext= no-store`}, Response{}},
		{"the word behind an empty argument is a name", []string{`ext="" no-store`}, Response{NoStore: true}},
		{"a quote not closed: what came before counts", []string{`max-age=60, public, ext="abc`},
			Response{MaxAge: valid(60), Public: true}},
		{"a quote not closed: restrictions behind it count",
			[]string{`max-age=60, ext="abc, no-store, no-cache="a", must-revalidate`},
			Response{MaxAge: valid(60), NoStore: true, NoCache: true, MustRevalidate: true}},
		{"a quote not closed: permissions behind it are ignored, numbers mean zero",
			[]string{`ext="abc, public, immutable, max-age=60, s-maxage=60, foo`},
			Response{MaxAge: invalid, SMaxAge: invalid}},
		{"a quote not closed: must-understand does not lift no-store", []string{`no-store, ext="abc, must-understand`},
			Response{NoStore: true}},
		{"a quote not closed: must-understand before it does not lift no-store", []string{`must-understand, no-store, ext="abc`},
			Response{NoStore: true}},
		{"a quote not closed: must-understand alone restricts", []string{`ext="abc, must-understand`},
			Response{MustUnderstand: true}},
		{"a quote not closed: it does not affect the next line", []string{`ext="abc`, `max-age=60, private="a"`},
			Response{MaxAge: valid(60), PrivateFields: []string{"A"}}},
		{"a quote not closed: the line ends in a backslash", []string{`no-store, ext="abc\`}, Response{NoStore: true}},
		{"a stray quote is closed by the quote of another argument", []string{`x="abc, no-store, y="z", public`},
			Response{NoStore: true}},
		{"a stray quote is closed by the quote of another argument: only the end of the line shows it", []string{`x="abc, no-store, y=" , z=1"`},
			Response{NoStore: true, Extensions: []Directive{
				{Name: "x", Value: "abc, no-store, y=", HasValue: true, Quoted: true},
			}}},
		{"a stray quote is closed by the quote of another argument: an escaped quote keeps the count even", []string{`x="abc, no-store, y=" , z=\""`},
			Response{NoStore: true, Extensions: []Directive{
				{Name: "x", Value: "abc, no-store, y=", HasValue: true, Quoted: true},
			}}},
		{"quotes out of place around a comma", []string{`size=5" wide, no-store, public, size=7" high`},
			Response{NoStore: true}},
		{"quotes out of place around a comma: what follows is in doubt", []string{`size=5" wide, size=7" high, public, max-age=60`},
			Response{MaxAge: invalid}},
		{"quotes out of place around no comma", []string{`etag=W/"abc", no-store, max-age=1`},
			Response{NoStore: true, MaxAge: valid(1)}},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			require.Equal(t, tc.want, ParseResponse(tc.lines, nil))
		})
	}
}

func TestParseResponseDelta(t *testing.T) {
	for _, tc := range []struct {
		arg  string
		want Delta
	}{
		{"0", valid(0)},
		{"1", valid(1)},
		{"007", valid(7)},
		{`"100"`, valid(100)}, // RFC 9111 §5.2: recipients ought to accept both forms
		{`""`, invalid},
		{`" 1"`, invalid},
		{`"1, 2"`, invalid},
		{"2147483646", valid(1<<31 - 2)},
		{"2147483647", valid(1<<31 - 1)},
		{"002147483647", valid(1<<31 - 1)},
		{"2147483648", valid(1 << 31)}, // RFC 9111 §1.2.2
		{"4294967296", valid(1 << 31)},
		{"18446744073709551616", valid(1 << 31)},
		{strings.Repeat("9", 1000), valid(1 << 31)},
		{strings.Repeat("9", 1000) + "x", invalid},
		{"18446744073709551616.5", invalid},
		{"", invalid},
		{" 100", invalid},
		{"'100'", invalid},
		{"-1", invalid},
		{"+1", invalid},
		{"1.5", invalid},
		{"1_000", invalid},
		{"0x10", invalid},
		{"1e3", invalid},
		{"1 2", invalid},
		{"1s", invalid},
		{"abc", invalid},
		{"٣", invalid},
	} {
		t.Run(fmt.Sprintf("%.30s", tc.arg), func(t *testing.T) {
			require.Equal(t, Response{MaxAge: tc.want}, ParseResponse([]string{"max-age=" + tc.arg}, nil))
			require.Equal(t, Response{SMaxAge: tc.want}, ParseResponse([]string{"s-maxage=" + tc.arg}, nil))
			require.Equal(t, Response{StaleWhileRevalidate: tc.want},
				ParseResponse([]string{"stale-while-revalidate=" + tc.arg}, nil))
			require.Equal(t, Response{StaleIfError: tc.want}, ParseResponse([]string{"stale-if-error=" + tc.arg}, nil))
			require.Equal(t, Request{MinFresh: tc.want}, ParseRequest([]string{"min-fresh=" + tc.arg}, nil))
			require.Equal(t, Request{MaxStale: tc.want}, ParseRequest([]string{"max-stale=" + tc.arg}, nil))
		})
	}
	for _, text := range []string{"max-age", "max-age =100", "max-age= 100", "max-age\t=\t100"} {
		t.Run(text, func(t *testing.T) {
			require.Equal(t, Response{MaxAge: invalid}, ParseResponse([]string{text}, nil))
			require.Equal(t, Request{MaxAge: invalid}, ParseRequest([]string{text}, nil))
		})
	}
}

func TestFractionalSeconds(t *testing.T) {
	fraction := func(d time.Duration) Delta {
		return Delta{Duration: d, Present: true, Valid: true}
	}
	for _, tc := range []struct {
		arg  string
		want Delta
	}{
		{"1", valid(1)},
		{"1.5", fraction(1500 * time.Millisecond)},
		{`"0.25"`, fraction(250 * time.Millisecond)},
		{"1.0", valid(1)},
		{"0.0000000015", fraction(time.Nanosecond)},
		{"2147483647.999999999", fraction(1<<31*time.Second - time.Nanosecond)},
		{"2147483648.1", valid(1 << 31)},
		{strings.Repeat("9", 1000) + ".5", valid(1 << 31)},
		{".5", invalid},
		{"1.", invalid},
		{"1.5.5", invalid},
		{"-1.5", invalid},
		{"1.5s", invalid},
		{"x", invalid},
	} {
		t.Run(fmt.Sprintf("%.30s", tc.arg), func(t *testing.T) {
			o := &Options{FractionalSeconds: true}
			r := ParseResponse([]string{"max-age=" + tc.arg}, o)
			require.Equal(t, Response{MaxAge: tc.want}, r)
			require.Equal(t, tc.want.Duration, ParseResponse([]string{r.String()}, o).MaxAge.Duration)
			q := ParseRequest([]string{"max-age=" + tc.arg}, o)
			require.Equal(t, Request{MaxAge: tc.want}, q)
			require.Equal(t, tc.want.Duration, ParseRequest([]string{q.String()}, o).MaxAge.Duration)
		})
	}
	require.Equal(t, Response{Public: true}, ParseResponse([]string{"public, public=1.5"}, &Options{FractionalSeconds: true}))
}

func TestResponseString(t *testing.T) {
	for _, tc := range []struct {
		line, want string
	}{
		{"", ""},
		{"max-age=060,public", "public, max-age=60"},
		{"max-age=x, stale-if-error=99999999999", "max-age=0, stale-if-error=2147483648"},
		{"no-cache=b, private=\"a,b\"", `private="A, B", no-cache="B"`},
		{`A="b\"\\", C=" ", d=""`, `a="b\"\\", c=" ", d=""`},
		{
			"no-transform, immutable, stale-if-error=4, stale-while-revalidate=3, proxy-revalidate, must-revalidate, " +
				"s-maxage=2, max-age=1, public, no-cache, private, must-understand, no-store",
			"no-store, must-understand, private, no-cache, public, max-age=1, s-maxage=2, must-revalidate, " +
				"proxy-revalidate, stale-while-revalidate=3, stale-if-error=4, immutable, no-transform",
		},
	} {
		r := ParseResponse([]string{tc.line}, nil)
		require.Equal(t, tc.want, r.String())
		require.Equal(t, tc.want == "", r.IsZero(), tc.line)
	}
	require.Equal(t, `a="b c"`, Directive{Name: "a", Value: "b c", HasValue: true}.String(), "an argument that needs quotes is unquoted")
	require.Equal(t, "max-age=0", Response{MaxAge: Delta{Duration: -time.Second, Present: true, Valid: true}}.String())
}

// TestLimits checks that the result for a long field has a bounded size and loses no restriction.
func TestLimits(t *testing.T) {
	const n = 100_000
	flood := strings.Repeat("a,", n)

	t.Run("extensions", func(t *testing.T) {
		r := ParseResponse([]string{flood + "no-store", flood}, nil)
		require.True(t, r.NoStore)
		require.Len(t, r.Extensions, maxExtensions)
		q := ParseRequest([]string{flood + "no-store", flood}, nil)
		require.True(t, q.NoStore)
		require.Len(t, q.Extensions, maxExtensions)
	})
	t.Run("field names", func(t *testing.T) {
		var list strings.Builder
		for i := range maxFields {
			fmt.Fprintf(&list, "f%d,", i)
		}
		r := ParseResponse([]string{`private="` + list.String() + `F0"`}, nil)
		require.Len(t, r.PrivateFields, maxFields)
		r = ParseResponse([]string{`private="` + list.String() + `one-more"`}, nil)
		require.Equal(t, Response{Private: true}, r, "a list with too many names is not unqualified")
	})
	t.Run("allocations", func(t *testing.T) {
		for _, line := range []string{
			flood,
			strings.Repeat(`a="`, n),
			strings.Repeat(`a"b",`, n),
			strings.Repeat(`"`, n),
			strings.Repeat("=", n),
			`private="` + flood + `"`,
		} {
			allocs := testing.AllocsPerRun(1, func() { ParseResponse([]string{line}, nil) })
			require.Less(t, allocs, 50.0, "%.10s…", line)
		}
	})
}
