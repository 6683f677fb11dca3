package field

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/internal/field/fieldtest"
)

func TestHTTPDateFormats(t *testing.T) {
	want := time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)
	for name, s := range map[string]string{
		"IMF-fixdate":             "Sun, 06 Nov 1994 08:49:37 GMT",
		"RFC 850":                 "Sunday, 06-Nov-94 08:49:37 GMT",
		"asctime":                 "Sun Nov  6 08:49:37 1994",
		"asctime, two digits":     "Sun Nov 06 08:49:37 1994",
		"lower case":              "sun, 06 nov 1994 08:49:37 gmt",
		"upper case":              "SUN, 06 NOV 1994 08:49:37 GMT",
		"RFC 850 in lower case":   "sunday, 06-nov-94 08:49:37 gmt",
		"asctime in lower case":   "sun nov  6 08:49:37 1994",
		"another day of the week": "Mon, 06 Nov 1994 08:49:37 GMT",
	} {
		got, ok := ParseDate(s, fieldtest.Now)
		require.True(t, ok, name)
		require.Equal(t, want, got, name)
	}
}

func TestHTTPDateRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"empty":                      "",
		"zero":                       "0",
		"a number":                   "784111777",
		"UTC":                        "Sun, 06 Nov 1994 08:49:37 UTC",
		"another zone":               "Sun, 06 Nov 1994 08:49:37 AEST",
		"an offset":                  "Sun, 06 Nov 1994 08:49:37 +0000",
		"no zone":                    "Sun, 06 Nov 1994 08:49:37",
		"a year of two digits":       "Sun, 06 Nov 94 08:49:37 GMT",
		"a year of five digits":      "Sun, 06 Nov 11994 08:49:37 GMT",
		"no comma":                   "Sun 06 Nov 1994 08:49:37 GMT",
		"two spaces":                 "Sun,  06 Nov 1994 08:49:37 GMT",
		"two spaces before the time": "Sun, 06 Nov 1994  08:49:37 GMT",
		"no space":                   "Sun,06 Nov 1994 08:49:37 GMT",
		"dashes":                     "Sun, 06-Nov-1994 08:49:37 GMT",
		"dashes, two digits":         "Sun, 06-Nov-94 08:49:37 GMT",
		"periods in the time":        "Sun, 06 Nov 1994 08.49.37 GMT",
		"an hour of one digit":       "Sun, 06 Nov 1994 8:49:37 GMT",
		"a day of one digit":         "Sun, 6 Nov 1994 08:49:37 GMT",
		"an hour too many":           "Sun, 06 Nov 1994 24:49:37 GMT",
		"a minute too many":          "Sun, 06 Nov 1994 08:60:37 GMT",
		"two seconds too many":       "Sun, 06 Nov 1994 08:49:61 GMT",
		"a day too many":             "Wed, 30 Feb 1994 08:49:37 GMT",
		"day zero":                   "Wed, 00 Feb 1994 08:49:37 GMT",
		"no day's name":              "Foo, 06 Nov 1994 08:49:37 GMT",
		"no month's name":            "Sun, 06 Foo 1994 08:49:37 GMT",
		"a sign":                     "Sun, 06 Nov 1994 08:49:+7 GMT",
		"letters in the year":        "Sun, 06 Nov 19x4 08:49:37 GMT",
		"letters in the day":         "Sun, x6 Nov 1994 08:49:37 GMT",
		"letters in the hour":        "Sun, 06 Nov 1994 x8:49:37 GMT",
		"letters in the minute":      "Sun, 06 Nov 1994 08:x9:37 GMT",
		"space before":               " Sun, 06 Nov 1994 08:49:37 GMT",
		"space after":                "Sun, 06 Nov 1994 08:49:37 GMT ",
		"a list":                     "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
		"RFC 850, short day":         "Sun, 06-Nov-94 08:49:37 GMT",
		"RFC 850, year of four":      "Sunday, 06-Nov-1994 08:49:37 GMT",
		"RFC 850, letters in year":   "Sunday, 06-Nov-9x 08:49:37 GMT",
		"RFC 850, UTC":               "Sunday, 06-Nov-94 08:49:37 UTC",
		"RFC 850, no time":           "Sunday, 06-Nov-94",
		"RFC 850, no such day":       "Sunday, 31-Nov-94 08:49:37 GMT",
		"asctime with zone":          "Sun Nov  6 08:49:37 1994 GMT",
		"asctime, one space":         "Sun Nov 6 08:49:37 1994",
		"asctime, letters in year":   "Sun Nov  6 08:49:37 199x",
		"asctime, blank day":         "Sun Nov    08:49:37 1994",
		"asctime, two spaces":        "Sun  Nov  6 08:49:37 1994",
		"RFC 850, no comma":          "Sunday 06-Nov-94 08:49:37 GMT",
		"RFC 850, no day's name":     "Foo, 06-Nov-94 08:49:37 GMT",
		"RFC 850, a long s (U+017F)": "\u017funday, 06-Nov-94 08:49:37 GMT",
	} {
		_, ok := ParseDate(s, fieldtest.Now)
		require.False(t, ok, name)
	}
}

func TestHTTPDateNames(t *testing.T) {
	for day := range 7 {
		for month := time.January; month <= time.December; month++ {
			want := time.Date(1995, month, 1+day, 8, 49, 37, 0, time.UTC)
			for _, layout := range []string{http.TimeFormat, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
				got, ok := ParseDate(want.Format(layout), fieldtest.Now)
				require.True(t, ok, want.Format(layout))
				require.Equal(t, want, got)
			}
		}
	}
}

// httpDates is the grammar of RFC 9110 §5.6.7, one expression per format. The groups are day,
// month, year and time.
var httpDates = func() []*regexp.Regexp {
	const days, months, clock = `(?:Sun|Mon|Tue|Wed|Thu|Fri|Sat)`, `(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)`, `(\d\d:\d\d:\d\d)`
	return []*regexp.Regexp{
		regexp.MustCompile(`^(?i)` + days + `, (?P<d>\d\d) (?P<m>` + months + `) (?P<y>\d{4}) (?P<t>` + clock + `) GMT$`),
		regexp.MustCompile(`^(?i)(?:Sun|Mon|Tues|Wednes|Thurs|Fri|Satur)day, (?P<d>\d\d)-(?P<m>` + months + `)-(?P<y>\d\d) (?P<t>` + clock + `) GMT$`),
		regexp.MustCompile(`^(?i)` + days + ` (?P<m>` + months + `) (?P<d>[ \d]\d) (?P<t>` + clock + `) (?P<y>\d{4})$`),
	}
}()

// dateByGrammar does what ParseDate does, with httpDates and package time.
func dateByGrammar(s string) (time.Time, bool) {
	for _, form := range httpDates {
		match := form.FindStringSubmatch(s)
		if match == nil {
			continue
		}
		part := func(name string) string { return match[form.SubexpIndex(name)] }
		clock := part("t")
		if strings.HasSuffix(clock, ":60") {
			clock = clock[:6] + "59"
		}
		year := part("y")
		for _, century := range []string{"20", "19"} {
			if len(part("y")) == 2 {
				year = century + part("y")
			}
			date, err := time.Parse("_2 Jan 2006 15:04:05", part("d")+" "+part("m")+" "+year+" "+clock)
			if err == nil && (len(part("y")) == 4 || !date.After(fieldtest.Now.AddDate(50, 0, 0))) {
				return date, true
			}
		}
	}
	return time.Time{}, false
}

// TestHTTPDateByteByByte changes, inserts and removes each byte in turn.
func TestHTTPDateByteByByte(t *testing.T) {
	dates := 0
	for _, valid := range []string{
		"Sun, 06 Nov 1994 08:49:37 GMT", "Sat, 31 Dec 2016 23:59:60 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun Nov 16 08:49:37 1994",
	} {
		for i := range len(valid) {
			changed := []string{valid[:i], valid[:i] + valid[i+1:]}
			for _, c := range " 0123456789,:-+/.;nNaA\t\x00" {
				changed = append(changed, valid[:i]+string(c)+valid[i+1:], valid[:i]+string(c)+valid[i:], valid+string(c))
			}
			for _, s := range changed {
				got, ok := ParseDate(s, fieldtest.Now)
				want, wantOK := dateByGrammar(s)
				require.Equal(t, wantOK, ok, s)
				require.Equal(t, want, got, s)
				if ok {
					dates++
				}
			}
		}
	}
	require.Greater(t, dates, 200)
}

func TestSameDate(t *testing.T) {
	const first = "Mon, 01 Jan 0001 00:00:00 GMT" // the zero Time
	require.True(t, SameDate("Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", fieldtest.Now))
	require.False(t, SameDate("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT", fieldtest.Now))
	require.True(t, SameDate(first, first, fieldtest.Now))
	require.False(t, SameDate("none", "none", fieldtest.Now))
	require.False(t, SameDate("none", first, fieldtest.Now))
	require.False(t, SameDate(first, "none", fieldtest.Now))
}

// RFC 9111 §4.2: the result must not be later than the date that was meant.
func TestHTTPDateLeapSecond(t *testing.T) {
	got, ok := ParseDate("Sat, 31 Dec 2016 23:59:60 GMT", fieldtest.Now)
	require.True(t, ok)
	require.Equal(t, time.Date(2016, 12, 31, 23, 59, 59, 0, time.UTC), got)
}

// RFC 9110 §5.6.7: a date more than 50 years in the future is in the past.
func TestHTTPDateCentury(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for s, year := range map[string]int{
		"Sunday, 06-Nov-94 08:49:37 GMT": 1994,
		"Sunday, 06-Nov-25 08:49:37 GMT": 2025,
		"Sunday, 01-Jul-76 12:00:00 GMT": 2076, // exactly 50 years ahead
		"Sunday, 01-Jul-76 12:00:01 GMT": 1976,
		"Sunday, 06-Nov-77 08:49:37 GMT": 1977,
		"Sunday, 29-Feb-00 08:49:37 GMT": 2000,
	} {
		got, ok := ParseDate(s, now)
		require.True(t, ok, s)
		require.Equal(t, year, got.Year(), s)
	}
	got, ok := ParseDate("Sunday, 06-Nov-10 08:49:37 GMT", now.AddDate(60, 0, 0))
	require.True(t, ok)
	require.Equal(t, 2110, got.Year())
	got, ok = ParseDate("Saturday, 01-Jan-01 00:00:00 GMT", now.AddDate(25, 0, 0))
	require.True(t, ok)
	require.Equal(t, 2101, got.Year())
	// 2100 has no 29 February, so the year is 2000.
	got, ok = ParseDate("Tuesday, 29-Feb-00 08:49:37 GMT", now.AddDate(60, 0, 0))
	require.True(t, ok)
	require.Equal(t, 2000, got.Year())
}

func FuzzParseDate(f *testing.F) {
	f.Add("Sun, 06 Nov 1994 08:49:37 GMT")
	f.Add("Sunday, 06-Nov-94 08:49:37 GMT")
	f.Add("Sun Nov  6 08:49:37 1994")
	f.Add("Sun, 06 Nov 1994 08:49:60 gmt")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseDate(s, fieldtest.Now)
		if !ok {
			require.Zero(t, got)
			return
		}
		// A parsed date must parse to the same time when it is formatted as senders must format it.
		again, ok := ParseDate(got.Format(http.TimeFormat), fieldtest.Now)
		require.True(t, ok, s)
		require.Equal(t, got, again, s)
		// net/http must agree, unless case, a leap second or the century makes it fail or differ.
		if theirs, err := http.ParseTime(s); err == nil && !strings.Contains(s, "-") {
			require.Equal(t, theirs, got, s)
		}
	})
}

func BenchmarkParseDate(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ParseDate("Sun, 06 Nov 1994 08:49:37 GMT", fieldtest.Now)
	}
}
