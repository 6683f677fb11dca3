package rules

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cirquecache/cirque/internal/field"
)

// Freshness is what a response says, or lets assume, about how long it is fresh.
type Freshness struct {
	// Lifetime is the freshness lifetime (RFC 9111 §4.2.1). Where the response expired before it
	// was sent it is negative. It lies within 2^31 seconds of zero.
	Lifetime time.Duration

	// InitialAge is the response's age when it was received: corrected_initial_age (RFC 9111
	// §4.2.3), at most 2^31 seconds.
	InitialAge time.Duration

	// Explicit: the origin gave the lifetime, be it an unreadable one, which counts as zero.
	// Heuristic: it is configured or guessed (RFC 9111 §4.2.2). Neither: there is none.
	Explicit, Heuristic bool

	// Delay is the time between request and response: the part of InitialAge that is due to the
	// exchange itself (response_delay in RFC 9111 §4.2.3).
	Delay time.Duration

	// Source is what the lifetime comes from: "s-maxage", "max-age", "expires", "default",
	// "heuristic" or "".
	Source string
}

// Fresh reports whether the response was fresh when it was received (RFC 9111 §4.2).
func (f Freshness) Fresh() bool { return f.Lifetime > f.InitialAge }

// delayed reports whether the response is stale by the time it took to arrive, and would be fresh
// without.
func (f Freshness) delayed() bool { return !f.Fresh() && f.Lifetime > max(0, f.InitialAge-f.Delay) }

// Freshness works out the freshness of x's response: the lifetime from the first of s-maxage (in a
// shared cache), max-age, Expires less Date, p.Defaults, and a heuristic.
func (p *Policy) Freshness(x *Exchange) Freshness {
	return p.freshness(x, x.Status, x.Header, p.directives(x.Header))
}

// freshness is Freshness for the status and header that a response has been given by an update (RFC
// 9111 §3.2).
func (p *Policy) freshness(x *Exchange, status int, h http.Header, d responseDirectives) Freshness {
	date := dateValue(x, h)
	f := Freshness{InitialAge: initialAge(x, h, date), Delay: withinSeconds(responseDelay(x))}
	switch {
	case d.SMaxAge.Present: // RFC 9111 §4.2.1; applicable took it from private caches
		f.Lifetime, f.Explicit, f.Source = d.SMaxAge.Duration, true, "s-maxage"
	case d.MaxAge.Present:
		f.Lifetime, f.Explicit, f.Source = d.MaxAge.Duration, true, "max-age"
	case len(h["Expires"]) > 0 && !d.targeted: // RFC 9213 §2.2: Expires is ignored too
		f.Lifetime, f.Explicit, f.Source = expiresLifetime(h["Expires"], date, x.ResponseTime), true, "expires"
	case p.Defaults.FreshDuration(status) > 0:
		f.Lifetime, f.Heuristic, f.Source = p.Defaults.FreshDuration(status), true, "default"
	case heuristicallyCacheable(status) || d.Public || d.Private && p.Private: // RFC 9111 §4.2.2, §5.2.2.7
		if f.Lifetime = heuristicLifetime(h, date, x.ResponseTime); f.Lifetime > 0 {
			f.Heuristic, f.Source = true, "heuristic"
		}
	}
	if p.boundsServerError(status) {
		f.Lifetime = min(f.Lifetime, p.Defaults.FreshDuration(status))
	}
	f.Lifetime = withinSeconds(f.Lifetime)
	return f
}

// expiresLifetime returns the value of Expires less date. A value that is no date has expired (RFC
// 9111 §5.3), as have several, which are the parts of no date.
func expiresLifetime(lines []string, date, now time.Time) time.Duration {
	expires, ok := field.SingleDate(lines, now)
	if !ok {
		return 0
	}
	return expires.Sub(date)
}

// maxHeuristic bounds what a cache may guess.
const maxHeuristic = 24 * time.Hour

// heuristicLifetime is a tenth of the time since Last-Modified (RFC 9111 §4.2.2), zero where there
// is none.
func heuristicLifetime(h http.Header, date, now time.Time) time.Duration {
	modified, ok := field.SingleDate(h["Last-Modified"], now)
	if !ok {
		return 0
	}
	return min(max(date.Sub(modified)/10, 0), maxHeuristic)
}

// heuristicallyCacheable are the status codes of RFC 9110 §15.1. 206 is among them, and never gets
// here unless it may be stored.
func heuristicallyCacheable(status int) bool {
	switch status {
	case 200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// initialAge is corrected_initial_age (RFC 9111 §4.2.3). Date has no fractions of a second, and so
// the apparent age has none: with them, whatever is made just before the clock strikes would be a
// second old when it arrives.
func initialAge(x *Exchange, h http.Header, date time.Time) time.Duration {
	apparentAge := max(0, x.ResponseTime.Sub(date).Truncate(time.Second))
	correctedAgeValue := ageValue(h["Age"]) + responseDelay(x)
	return withinSeconds(max(apparentAge, correctedAgeValue))
}

// responseDelay is response_delay (RFC 9111 §4.2.3).
func responseDelay(x *Exchange) time.Duration { return max(0, x.ResponseTime.Sub(x.RequestTime)) }

// dateValue is date_value: Date, or where there is none to be read the time of receipt (RFC 9110
// §6.6.1).
func dateValue(x *Exchange, h http.Header) time.Time {
	if date, ok := field.SingleDate(h["Date"], x.ResponseTime); ok {
		return date
	}
	return x.ResponseTime
}

// ageValue is age_value: the first member of Age, zero where that is no number (RFC 9111 §5.1).
func ageValue(lines []string) time.Duration {
	if len(lines) == 0 {
		return 0
	}
	first, _, _ := strings.Cut(lines[0], ",")
	first = field.TrimOWS(first)
	if first == "" || strings.Trim(first, "0123456789") != "" {
		return 0
	}
	seconds, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return maxDelta // too large for any integer (RFC 9111 §1.2.2)
	}
	return time.Duration(min(seconds, int64(maxDelta/time.Second))) * time.Second
}

func withinSeconds(d time.Duration) time.Duration { return min(max(d, -maxDelta), maxDelta) }
