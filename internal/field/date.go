package field

import (
	"strings"
	"time"
)

// ParseDate parses an HTTP-date in any of its three formats (RFC 9110 §5.6.7):
//
//	Sun, 06 Nov 1994 08:49:37 GMT
//	Sunday, 06-Nov-94 08:49:37 GMT
//	Sun Nov  6 08:49:37 1994
//
// The names of days and months and the zone match in upper and lower case (RFC 9111 §4.2).
// Everything else is strict: only the zone GMT, exactly these spaces, no signs. A leap second
// becomes the second before it, because the result must not be later than the date that was meant
// (RFC 9111 §4.2). The name of the day need not fit the date.
//
// now decides the century of a two-digit year: a date that would be more than 50 years in the
// future is in the past.
func ParseDate(s string, now time.Time) (t time.Time, ok bool) {
	day, rest, _ := strings.Cut(s, " ")
	name, comma := strings.CutSuffix(day, ",")
	switch {
	case comma && indexFold(shortDays, name) >= 0:
		return parseIMFFixdate(rest)
	case comma && indexFold(longDays, name) >= 0:
		return parseRFC850Date(rest, now)
	case indexFold(shortDays, day) >= 0:
		return parseASCTime(rest)
	}
	return time.Time{}, false
}

var (
	shortDays = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}
	longDays  = []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
	months    = []string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}
)

func indexFold(names []string, s string) int {
	for i, name := range names {
		if strings.EqualFold(name, s) && len(name) == len(s) {
			return i
		}
	}
	return -1
}

// parseIMFFixdate parses "06 Nov 1994 08:49:37 GMT".
func parseIMFFixdate(s string) (time.Time, bool) {
	if len(s) != len("06 Nov 1994 08:49:37 GMT") || s[2] != ' ' || s[6] != ' ' || s[11] != ' ' || !isGMT(s[20:]) {
		return time.Time{}, false
	}
	year, ok := digits(s[7:11])
	if !ok {
		return time.Time{}, false
	}
	return dateOf(year, s[3:6], s[:2], s[12:20])
}

// parseRFC850Date parses "06-Nov-94 08:49:37 GMT".
func parseRFC850Date(s string, now time.Time) (time.Time, bool) {
	if len(s) != len("06-Nov-94 08:49:37 GMT") || s[2] != '-' || s[6] != '-' || s[9] != ' ' || !isGMT(s[18:]) {
		return time.Time{}, false
	}
	year, ok := digits(s[7:9])
	if !ok {
		return time.Time{}, false
	}
	limit := now.UTC().AddDate(50, 0, 0)
	year += limit.Year() / 100 * 100
	if t, ok := dateOf(year, s[3:6], s[:2], s[10:18]); ok && !t.After(limit) {
		return t, true
	}
	return dateOf(year-100, s[3:6], s[:2], s[10:18])
}

// parseASCTime parses "Nov  6 08:49:37 1994".
func parseASCTime(s string) (time.Time, bool) {
	if len(s) != len("Nov  6 08:49:37 1994") || s[3] != ' ' || s[6] != ' ' || s[15] != ' ' {
		return time.Time{}, false
	}
	year, ok := digits(s[16:])
	if !ok {
		return time.Time{}, false
	}
	return dateOf(year, s[:3], strings.TrimPrefix(s[4:6], " "), s[7:15])
}

func isGMT(zone string) bool { return strings.EqualFold(zone, " GMT") }

// dateOf makes a time from its parts; clock is hh:mm:ss.
func dateOf(year int, month, day, clock string) (time.Time, bool) {
	d, dayOK := digits(day)
	hour, hourOK := digits(clock[:2])
	minute, minuteOK := digits(clock[3:5])
	second, secondOK := digits(clock[6:])
	m := indexFold(months, month) + 1
	if !dayOK || !hourOK || !minuteOK || !secondOK || clock[2] != ':' || clock[5] != ':' ||
		m == 0 || minute > 59 || second > 60 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(m), d, hour, minute, min(second, 59), 0, time.UTC)
	// time.Date turns 30 February into 1 or 2 March, and hour 24 into the next day.
	if t.Day() != d {
		return time.Time{}, false
	}
	return t, true
}

func digits(s string) (n int, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return n, false
		}
		n = 10*n + int(s[i]-'0')
	}
	return n, s != ""
}

// SameDate reports whether two fields hold the same date, in any format.
func SameDate(a, b string, now time.Time) bool {
	t, ok1 := ParseDate(a, now)
	u, ok2 := ParseDate(b, now)
	return ok1 && ok2 && t.Equal(u)
}

// SingleDate parses a field of one line that is a date. ok is false for any other field.
func SingleDate(lines []string, now time.Time) (t time.Time, ok bool) {
	if len(lines) != 1 {
		return time.Time{}, false
	}
	return ParseDate(lines[0], now)
}
