package rules

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// This file transcribes RFC 9111 §4.2.1 and §4.2.3 sentence by sentence. It is slow, and it uses
// other means than the package: regular expressions and unbounded integers. Where the RFC leaves a
// choice, it chooses as the package does: the first of several values, stale for unreadable values,
// the conservative age.

type transcription struct {
	shared                    bool
	cacheControl              []string
	expires, date, age        []string
	requestTime, responseTime int64
}

const (
	tokenForm  = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
	quotedForm = `"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\t -~\x80-\xff])*"`
)

var (
	directiveForm = regexp.MustCompile(`^[ \t]*(` + tokenForm + `)(?:=(` + tokenForm + `|` + quotedForm + `))?[ \t]*(?:,|$)`)
	emptyForm     = regexp.MustCompile(`^[ \t]*(?:,|$)`)
	numberForm    = regexp.MustCompile(`^[0-9]+$`)
	deltaForm     = regexp.MustCompile(`^(?:([0-9]+)|"([0-9]+)")$`)
)

var infinity = big.NewInt(2147483648) // §1.2.2

// freshnessLifetime is §4.2.1, in seconds. explicit is false if "no explicit expiration time is
// present".
func (r transcription) freshnessLifetime() (lifetime *big.Int, explicit bool) {
	if value, ok := r.directive("s-maxage"); ok && r.shared {
		return r.deltaSeconds(value), true
	}
	if value, ok := r.directive("max-age"); ok {
		return r.deltaSeconds(value), true
	}
	if len(r.expires) > 0 {
		expires, ok := r.httpDate(r.expires)
		if !ok { // §5.3: "already expired"
			return new(big.Int), true
		}
		lifetime := new(big.Int).Sub(expires, r.dateValue())
		if lifetime.CmpAbs(infinity) > 0 {
			lifetime.SetInt64(infinity.Int64() * int64(lifetime.Sign()))
		}
		return lifetime, true
	}
	return new(big.Int), false
}

// correctedInitialAge is §4.2.3, in seconds.
func (r transcription) correctedInitialAge() *big.Int {
	apparentAge := maxInt(new(big.Int), new(big.Int).Sub(big.NewInt(r.responseTime), r.dateValue()))
	responseDelay := big.NewInt(r.responseTime - r.requestTime)
	correctedAgeValue := new(big.Int).Add(r.ageValue(), responseDelay)
	return minInt(maxInt(apparentAge, correctedAgeValue), infinity)
}

func (r transcription) dateValue() *big.Int {
	if date, ok := r.httpDate(r.date); ok {
		return date
	}
	return big.NewInt(r.responseTime) // "using the time the message was received if it is not present"
}

// ageValue is age_value of §4.2.3 with §5.1.
func (r transcription) ageValue() *big.Int {
	if len(r.age) == 0 {
		return new(big.Int)
	}
	first := strings.Trim(strings.Split(strings.Join(r.age, ","), ",")[0], " \t")
	if !numberForm.MatchString(first) {
		return new(big.Int)
	}
	n, _ := new(big.Int).SetString(first, 10)
	return minInt(n, infinity)
}

// directive returns the argument of the first directive of that name, with its quotes.
func (r transcription) directive(name string) (value string, ok bool) {
	for _, line := range r.cacheControl {
		for line != "" {
			if empty := emptyForm.FindString(line); empty != "" {
				line = line[len(empty):]
				continue
			}
			m := directiveForm.FindStringSubmatch(line)
			if m == nil {
				panic(malformed(line))
			}
			if !ok && strings.EqualFold(m[1], name) {
				value, ok = m[2], true
			}
			line = line[len(m[0]):]
		}
	}
	return value, ok
}

// malformed is a Cache-Control that no grammar covers. The RFC does not say what it means.
type malformed string

func (transcription) deltaSeconds(value string) *big.Int {
	m := deltaForm.FindStringSubmatch(value)
	if m == nil {
		return new(big.Int)
	}
	n, _ := new(big.Int).SetString(m[1]+m[2], 10)
	return minInt(n, infinity)
}

var httpDateForms = func() []*regexp.Regexp {
	const (
		short  = `(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)`
		long   = `(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day`
		month  = `(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)`
		day    = `(?P<day>[0-9]{2})`
		clock  = `(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})`
		year   = `(?P<year>[0-9]{4})`
		digits = `(?P<year>[0-9]{2})`
	)
	var forms []*regexp.Regexp
	for _, form := range []string{
		short + `, ` + day + ` ` + month + ` ` + year + ` ` + clock + ` GMT`,
		long + `, ` + day + `-` + month + `-` + digits + ` ` + clock + ` GMT`,
		short + ` ` + month + ` (?P<day>[ 0-9][0-9]) ` + clock + ` ` + year,
	} {
		forms = append(forms, regexp.MustCompile(`^(?i:`+form+`)$`))
	}
	return forms
}()

func (r transcription) httpDate(lines []string) (seconds *big.Int, ok bool) {
	if len(lines) != 1 {
		return nil, false
	}
	for _, form := range httpDateForms {
		m := form.FindStringSubmatch(lines[0])
		if m == nil {
			continue
		}
		part := func(name string) string { return m[form.SubexpIndex(name)] }
		year := part("year")
		if len(year) == 2 {
			// The latest year with these digits that is not more than 50 years ahead.
			for y := time.Unix(r.responseTime, 0).UTC().Year() + 51; ; y-- {
				if fmt.Sprintf("%02d", y%100) != year {
					continue
				}
				if t, ok := r.instant(fmt.Sprint(y), part("month"), part("day"), part("hour"), part("minute"), part("second")); ok &&
					!time.Unix(t, 0).After(time.Unix(r.responseTime, 0).UTC().AddDate(50, 0, 0)) {
					return big.NewInt(t), true
				}
				if y < 1800 {
					return nil, false
				}
			}
		}
		t, ok := r.instant(year, part("month"), part("day"), part("hour"), part("minute"), part("second"))
		return big.NewInt(t), ok
	}
	return nil, false
}

func (transcription) instant(year, month, day, hour, minute, second string) (int64, bool) {
	if second == "60" {
		second = "59"
	}
	for len(year) < 4 {
		year = "0" + year
	}
	t, err := time.Parse("2006 Jan 2 15 04 05",
		strings.Join([]string{year, month, strings.TrimLeft(day, " 0"), hour, minute, second}, " "))
	return t.Unix(), err == nil
}

func maxInt(a, b *big.Int) *big.Int {
	if a.Cmp(b) < 0 {
		return b
	}
	return a
}

func minInt(a, b *big.Int) *big.Int {
	if a.Cmp(b) > 0 {
		return b
	}
	return a
}

// agree compares Policy.Freshness with the transcription. A field's lines are separated by
// newlines; an empty string means that the field is absent.
func agree(t *testing.T, private bool, cacheControl, expires, date, age string, delay uint16) {
	t.Helper()
	split := func(s string) []string {
		if s == "" {
			return nil
		}
		return strings.Split(s, "\n")
	}
	r := transcription{
		shared: !private, cacheControl: split(cacheControl), expires: split(expires), date: split(date), age: split(age),
		requestTime: testNow.Unix() - int64(delay), responseTime: testNow.Unix(),
	}
	x := get()
	x.RequestTime = testNow.Add(-time.Duration(delay) * time.Second)
	for name, lines := range map[string][]string{
		"Cache-Control": r.cacheControl, "Expires": r.expires, "Date": r.date, "Age": r.age,
	} {
		if lines != nil {
			x.Header[name] = lines
		}
	}
	defer func() {
		if _, ok := recover().(malformed); ok {
			// Freshness must not panic, and the lifetime must not exceed infinity.
			got := (&Policy{Private: private}).Freshness(x)
			require.LessOrEqual(t, got.Lifetime, maxDelta)
		}
	}()
	wantLifetime, wantExplicit := r.freshnessLifetime()
	wantAge := r.correctedInitialAge()

	got := (&Policy{Private: private}).Freshness(x)
	require.Equal(t, wantLifetime.String(), fmt.Sprint(int64(got.Lifetime/time.Second)), "freshness_lifetime of %v", x.Header)
	require.Zero(t, got.Lifetime%time.Second)
	require.Equal(t, wantExplicit, got.Explicit, "%v", x.Header)
	require.False(t, got.Heuristic)
	require.Equal(t, wantAge.String(), fmt.Sprint(int64(got.InitialAge/time.Second)), "corrected_initial_age of %v", x.Header)
	require.Equal(t, wantLifetime.Cmp(wantAge) > 0, got.Fresh(), "response_is_fresh of %v", x.Header)
}

func TestFreshnessAgreesWithTheTranscription(t *testing.T) {
	random := rand.New(rand.NewPCG(9111, 42))
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	some := func(from []string, separator string) string {
		var parts []string
		for range random.IntN(3) {
			parts = append(parts, pick(from))
		}
		return strings.Join(parts, separator)
	}
	numbers := []string{
		"0", "1", "60", "007", "2147483647", "2147483648", "2147483649", "4294967296", "9223372036854775808",
		"99999999999999999999", "-1", "+1", "1.0", "1.5", "a", "60a", "a60", "'60'", "1e3", "0x10", "",
	}
	dates := []string{
		at(0), at(time.Second), at(-time.Second), at(time.Hour), at(-time.Hour), at(-100 * 365 * 24 * time.Hour),
		strings.ToLower(at(time.Minute)), testNow.Format("Monday, 02-Jan-06 15:04:05 GMT"),
		testNow.Format(time.ANSIC), "Wed, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT", "Friday, 01-Jan-77 00:00:00 GMT", "Sat, 31 Dec 2016 23:59:60 GMT",
		"0", "never", testNow.Format(time.RFC1123Z), testNow.Format(time.RFC3339),
	}
	for range 5_000 {
		directives := []string{"public", "Max-Age=" + pick(numbers), "max-age=" + pick(numbers), "s-maxage=" + pick(numbers),
			`max-age="` + pick(numbers) + `"`, `x="max-age=1, s-maxage=2"`, "max-age", "must-revalidate", ""}
		agree(t, random.IntN(2) == 0, some(directives, pick([]string{",", ", ", "\n"})), some(dates, "\n"), some(dates, "\n"),
			some(append(numbers, " 5 ", "5;a=1"), pick([]string{",", "\n"})), uint16(random.IntN(3)*random.IntN(100)))
	}
}

func FuzzFreshness(f *testing.F) {
	f.Add(false, "max-age=60", "", "", "", uint16(0))
	f.Add(true, "s-maxage=60, max-age=30", at(time.Hour), at(0), "5", uint16(3))
	f.Add(false, `a="max-age=1", max-age="007"`, "0", "Sunday, 06-Nov-94 08:49:37 GMT", "1, 2", uint16(1))
	f.Add(false, "", at(time.Hour), testNow.Format(time.ANSIC), "2147483649", uint16(0))
	f.Add(false, "max-age=1\nmax-age=2", at(0)+"\n"+at(1), "", "a\n5", uint16(0))
	f.Fuzz(agree)
}

// The example of RFC 5861 §4.1 checks the transcription itself.
func TestTranscriptionOfRFC5861Example(t *testing.T) {
	r := transcription{shared: true, cacheControl: []string{"max-age=600, stale-if-error=1200"}, age: []string{"900"}}
	lifetime, explicit := r.freshnessLifetime()
	require.True(t, explicit)
	require.Equal(t, int64(600), lifetime.Int64())
	require.Equal(t, int64(900), r.correctedInitialAge().Int64())
}
