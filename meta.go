package cirque

import (
	"net/http"
	"time"
)

// MetaFlags are facts about a stored response. They are worked out when it is stored, so that a hit
// need not parse its header for them.
type MetaFlags uint32

const (
	// MetaNoStale: must-revalidate, or proxy-revalidate or s-maxage in a shared cache, forbids
	// serving the response stale (RFC 9111 §4.2.4).
	MetaNoStale MetaFlags = 1 << iota
	// MetaNoCache: the response must be validated before every reuse (RFC 9111 §5.2.2.4).
	MetaNoCache
	// MetaImmutable: a reload need not revalidate while the response is fresh (RFC 8246 §2).
	MetaImmutable
	// MetaDecoded: the transport has decoded the body. A strong entity tag is sent as a weak one.
	MetaDecoded
	// MetaVaryRecord: the entry is not a response but the vary record of a resource.
	MetaVaryRecord
	// MetaPartial: the body is a part of a representation (RFC 9111 §3.3).
	MetaPartial
	// MetaAuthorized: the request reached the origin with Authorization, and the response allowed
	// storing it all the same (RFC 9111 §3.5).
	MetaAuthorized
	// MetaHeuristic: the freshness lifetime is a heuristic one (RFC 9111 §4.2.2).
	MetaHeuristic
	// MetaDelayed: the response was stale when its header arrived, only because of the time that
	// the origin took to answer (response_delay in RFC 9111 §4.2.3). See rules.Shareable.
	MetaDelayed
)

// CacheMeta has all facts about one stored response except its body. One goroutine builds it. It
// must not be changed once a Storage has it; Clone returns a copy that may be changed.
//
// Times are exact to the nanosecond, the stale windows to the second.
type CacheMeta struct {
	status     uint16
	flags      MetaFlags
	swr, sie   uint32 // seconds
	created    int64  // Unix nanoseconds, as are the next three
	updated    int64
	freshUntil int64
	epoch      int64 // zero: the age counts from updated
	askedAgo   int64 // how long before updated the origin was asked, in nanoseconds
	purgeEpoch uint64
	variance   HashBinary
	header     HeaderSection
	extensions string // packed name, value pairs, sorted by name
}

// NewCacheMeta returns the meta of a response with this status and header, received at created and
// fresh until freshUntil. It may be served stale for swr while it is revalidated, and for sie if
// the origin fails (RFC 5861). Both are rounded down to seconds and kept within [0, 2^32) of them.
func NewCacheMeta(status int, header http.Header, created, freshUntil time.Time, swr, sie time.Duration) *CacheMeta {
	return &CacheMeta{
		status:     uint16(status),
		swr:        wholeSeconds(swr),
		sie:        wholeSeconds(sie),
		created:    created.UnixNano(),
		updated:    created.UnixNano(),
		freshUntil: freshUntil.UnixNano(),
		header:     packHeader(header),
	}
}

// Clone returns a copy that may be changed.
func (m *CacheMeta) Clone() *CacheMeta {
	c := *m
	return &c
}

// Continue makes m the updated meta of the response of stored: it copies Created, the variance and
// the extensions.
func (m *CacheMeta) Continue(stored *CacheMeta) {
	m.created, m.variance, m.extensions = stored.created, stored.variance, stored.extensions
}

// StatusCode returns the response's status code.
func (m *CacheMeta) StatusCode() int { return int(m.status) }

// Header returns the stored header section.
func (m *CacheMeta) Header() HeaderSection { return m.header }

// SetHeader replaces the header section by a packed copy of h.
func (m *CacheMeta) SetHeader(h http.Header) { m.header = packHeader(h) }

// Has reports whether all of flags are set.
func (m *CacheMeta) Has(flags MetaFlags) bool { return m.flags&flags == flags }

// Flags returns the flags.
func (m *CacheMeta) Flags() MetaFlags { return m.flags }

// SetFlags replaces the flags.
func (m *CacheMeta) SetFlags(flags MetaFlags) { m.flags = flags }

// Created returns when the response was first stored.
func (m *CacheMeta) Created() time.Time { return time.Unix(0, m.created) }

// Updated returns when the response was last received or validated.
func (m *CacheMeta) Updated() time.Time { return time.Unix(0, m.updated) }

// Asked returns when the origin was asked for the response, or to validate it. It is Updated unless
// SetAsked was called. Together with Updated it says which of two responses is the more recent one
// (RFC 9111 §4).
func (m *CacheMeta) Asked() time.Time { return time.Unix(0, m.updated-m.askedAgo) }

// SetAsked sets Asked to t, or to Updated if t is later.
func (m *CacheMeta) SetAsked(t time.Time) { m.askedAgo = max(0, m.updated-t.UnixNano()) }

// FreshUntil returns the end of the freshness lifetime (RFC 9111 §4.2).
func (m *CacheMeta) FreshUntil() time.Time { return time.Unix(0, m.freshUntil) }

// Epoch returns the instant at which the response's age was zero: the epoch override if there is
// one, else Updated. If the override is response_time - corrected_initial_age, Age is the
// current_age of RFC 9111 §4.2.3.
func (m *CacheMeta) Epoch() time.Time {
	if m.epoch != 0 {
		return time.Unix(0, m.epoch)
	}
	return m.Updated()
}

// SetEpochOverride sets the instant that the age counts from; the zero Time removes the override.
func (m *CacheMeta) SetEpochOverride(t time.Time) {
	if t.IsZero() {
		m.epoch = 0
		return
	}
	m.epoch = t.UnixNano()
}

// Age returns the response's age at now, never negative (RFC 9111 §4.2.3).
func (m *CacheMeta) Age(now time.Time) time.Duration { return max(0, now.Sub(m.Epoch())) }

// IsFresh reports whether the freshness lifetime exceeds the age at now (RFC 9111 §4.2).
func (m *CacheMeta) IsFresh(now time.Time) bool { return m.Staleness(now) < 0 }

// Staleness returns how long the response has been stale at now; negative while it is fresh.
//
// A now before Updated counts as Updated. So a response that arrived stale is stale also for a
// request that read the clock before it arrived.
func (m *CacheMeta) Staleness(now time.Time) time.Duration {
	return time.Duration(max(now.UnixNano(), m.updated) - m.freshUntil)
}

// StaleWhileRevalidate returns the window of RFC 5861 §3.
func (m *CacheMeta) StaleWhileRevalidate() time.Duration { return time.Duration(m.swr) * time.Second }

// StaleIfError returns the window of RFC 5861 §4.
func (m *CacheMeta) StaleIfError() time.Duration { return time.Duration(m.sie) * time.Second }

func wholeSeconds(d time.Duration) uint32 {
	return uint32(min(max(d/time.Second, 0), 1<<32-1))
}

// ServeStaleWhileRevalidate reports whether the response may be served at now while it is being
// revalidated (RFC 5861 §3). It is meant for stale responses.
func (m *CacheMeta) ServeStaleWhileRevalidate(now time.Time) bool {
	return !m.Has(MetaNoStale) && !m.Has(MetaNoCache) && m.Staleness(now) < m.StaleWhileRevalidate()
}

// ServeStaleIfError reports whether the response may be served at now in place of an error
// (RFC 5861 §4).
func (m *CacheMeta) ServeStaleIfError(now time.Time) bool {
	return !m.Has(MetaNoStale) && !m.Has(MetaNoCache) && m.Staleness(now) < m.StaleIfError()
}

// Variance returns the variance hash the response was stored under; zero for none.
func (m *CacheMeta) Variance() HashBinary { return m.variance }

// SetVariance sets the variance hash.
func (m *CacheMeta) SetVariance(v HashBinary) { m.variance = v }

// PurgeEpoch returns the epoch of the Storage when the origin was asked for the response, or to
// validate it.
func (m *CacheMeta) PurgeEpoch() PurgeEpoch { return PurgeEpoch(m.purgeEpoch) }

// SetPurgeEpoch sets PurgeEpoch. [HttpCache] does so for each response that it stores.
func (m *CacheMeta) SetPurgeEpoch(e PurgeEpoch) { m.purgeEpoch = uint64(e) }
