package rules

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/field"
)

// Freshness says how long a response is fresh, and how the cache knows.
type Freshness struct {
	// Lifetime is the freshness lifetime (RFC 9111 §4.2.1). It is negative if the response expired
	// before it was sent. It lies within 2^31 seconds of zero.
	Lifetime time.Duration

	// InitialAge is the response's age when it was received: corrected_initial_age (RFC 9111
	// §4.2.3), at most 2^31 seconds.
	InitialAge time.Duration

	// Explicit reports that the origin gave the lifetime. An unreadable one counts as zero.
	// Heuristic reports that the lifetime is configured or guessed (RFC 9111 §4.2.2). If neither is
	// set, there is no lifetime.
	Explicit, Heuristic bool

	// Delay is the time between request and response, which is part of InitialAge (response_delay
	// in RFC 9111 §4.2.3).
	Delay time.Duration

	// Source names where the lifetime comes from: "s-maxage", "max-age", "expires", "default",
	// "heuristic" or "" for none. Field is the response field that has it: "Cache-Control", a
	// targeted field (RFC 9213), "Expires", or "Last-Modified" for a heuristic lifetime; it is
	// empty for "default" and "".
	Source, Field string
}

// Fresh reports whether the response was fresh when it was received (RFC 9111 §4.2).
func (f Freshness) Fresh() bool { return f.Lifetime > f.InitialAge }

// delayed reports whether the response is stale only because of the time that it took to arrive.
func (f Freshness) delayed() bool { return !f.Fresh() && f.Lifetime > max(0, f.InitialAge-f.Delay) }

// Freshness computes the freshness of x's response. The lifetime is the first that exists of:
// s-maxage (in a shared cache), max-age, Expires minus Date, p.Defaults, and a heuristic.
func (p *Policy) Freshness(x *Exchange) Freshness {
	return p.freshness(x, x.Status, x.Header, p.directives(x.Header))
}

// freshness is Freshness for a status and header that may differ from those of x: an update gives a
// stored response new fields (RFC 9111 §3.2). d holds the directives of h.
func (p *Policy) freshness(x *Exchange, status int, h http.Header, d responseDirectives) Freshness {
	date := dateValue(x, h)
	f := Freshness{InitialAge: initialAge(x, h, date), Delay: withinSeconds(responseDelay(x))}
	switch {
	case d.SMaxAge.Present: // RFC 9111 §4.2.1; applicable removes it for a private cache
		f.Lifetime, f.Explicit, f.Source, f.Field = d.SMaxAge.Duration, true, "s-maxage", d.field
	case d.MaxAge.Present:
		f.Lifetime, f.Explicit, f.Source, f.Field = d.MaxAge.Duration, true, "max-age", d.field
	case len(h["Expires"]) > 0 && !d.targeted: // RFC 9213 §2.2: Expires is ignored too
		f.Lifetime, f.Explicit = expiresLifetime(h["Expires"], date, x.ResponseTime), true
		f.Source, f.Field = "expires", "Expires"
	case p.Defaults.FreshDuration(status) > 0:
		f.Lifetime, f.Heuristic, f.Source = p.Defaults.FreshDuration(status), true, "default"
	case heuristicallyCacheable(status) || d.Public || d.Private && p.Private: // RFC 9111 §4.2.2, §5.2.2.7
		if f.Lifetime = heuristicLifetime(h, date, x.ResponseTime); f.Lifetime > 0 {
			f.Heuristic, f.Source, f.Field = true, "heuristic", "Last-Modified"
		}
	}
	if p.boundsServerError(status) {
		f.Lifetime = min(f.Lifetime, p.Defaults.FreshDuration(status))
	}
	f.Lifetime = withinSeconds(f.Lifetime)
	return f
}

// StoredFreshness computes the freshness of a stored response from its header, as when it was
// received or last validated. It tells where the lifetime came from: what holds is meta.FreshUntil,
// which a soft purge or a program may have changed since.
func (p *Policy) StoredFreshness(meta *cirque.CacheMeta) Freshness {
	return p.Freshness(&Exchange{
		Request: &http.Request{}, Status: meta.StatusCode(), Header: meta.Header().Header(),
		RequestTime: meta.Asked(), ResponseTime: meta.Updated(),
	})
}

// expiresLifetime returns the value of Expires minus date. A value that is not a date means expired
// (RFC 9111 §5.3); so do several values, because they do not form one date.
func expiresLifetime(lines []string, date, now time.Time) time.Duration {
	expires, ok := field.SingleDate(lines, now)
	if !ok {
		return 0
	}
	return expires.Sub(date)
}

// maxHeuristic is the longest lifetime that is guessed.
const maxHeuristic = 24 * time.Hour

// heuristicLifetime returns a tenth of the time between Last-Modified and date (RFC 9111 §4.2.2),
// or zero without Last-Modified.
func heuristicLifetime(h http.Header, date, now time.Time) time.Duration {
	modified, ok := field.SingleDate(h["Last-Modified"], now)
	if !ok {
		return 0
	}
	return min(max(date.Sub(modified)/10, 0), maxHeuristic)
}

// heuristicallyCacheable reports whether status is one of those in RFC 9110 §15.1. 206 is one;
// other rules keep a 206 that must not be stored from reaching this one.
func heuristicallyCacheable(status int) bool {
	switch status {
	case 200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// initialAge returns corrected_initial_age (RFC 9111 §4.2.3). Date counts whole seconds, so the
// apparent age is cut to whole seconds. Otherwise nearly every response would seem to have an age
// because of the fraction that its Date lacks.
func initialAge(x *Exchange, h http.Header, date time.Time) time.Duration {
	apparentAge := max(0, x.ResponseTime.Sub(date).Truncate(time.Second))
	correctedAgeValue := ageValue(h["Age"]) + responseDelay(x)
	return withinSeconds(max(apparentAge, correctedAgeValue))
}

// responseDelay returns response_delay (RFC 9111 §4.2.3).
func responseDelay(x *Exchange) time.Duration { return max(0, x.ResponseTime.Sub(x.RequestTime)) }

// dateValue returns date_value (RFC 9111 §4.2.3): Date, or the time of receipt if there is no valid
// Date (RFC 9110 §6.6.1).
func dateValue(x *Exchange, h http.Header) time.Time {
	if date, ok := field.SingleDate(h["Date"], x.ResponseTime); ok {
		return date
	}
	return x.ResponseTime
}

// ageValue returns age_value (RFC 9111 §4.2.3): the first member of Age, or zero if that is not a
// number (§5.1).
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

// withinSeconds limits d to maxDelta in both directions.
func withinSeconds(d time.Duration) time.Duration { return min(max(d, -maxDelta), maxDelta) }

// CacheMetaDefaults gives responses without explicit freshness a lifetime by their status code, and
// stale windows where the response names none. The zero value gives none.
type CacheMetaDefaults struct {
	// FreshFor returns the lifetime for a status. Nil, or a result of zero or less, means that such
	// a response has no default lifetime.
	FreshFor func(status int) time.Duration

	// StaleWhileRevalidate and StaleIfError are the windows of RFC 5861 for responses that name
	// none.
	StaleWhileRevalidate, StaleIfError time.Duration
}

// FreshDuration returns the default lifetime for status. 304 has that of 200, which it freshens.
func (d CacheMetaDefaults) FreshDuration(status int) time.Duration {
	if d.FreshFor == nil {
		return 0
	}
	if status == 304 {
		status = 200
	}
	return max(0, d.FreshFor(status))
}
