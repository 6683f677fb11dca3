package middleware

import (
	"net/http"
	"strconv"
	"time"

	"github.com/cirquecache/cirque"
)

// cacheStatus collects what this cache did with a request, for the Cache-Status field (RFC 9211).
type cacheStatus struct {
	hit       bool
	fwd       string // why the request was forwarded (RFC 9211 §2.2); empty on a hit
	fwdStatus int
	stored    bool
	collapsed bool
	ttl       time.Duration // remaining freshness; negative if stale
	hasTTL    bool
	detail    string
}

// Values of fwd that do not come from a rules.ReuseDecision.
const (
	fwdBypass   = "bypass"
	fwdMethod   = "method"
	fwdURIMiss  = "uri-miss"
	fwdVaryMiss = "vary-miss"
	fwdPartial  = "partial"
)

// setTTL notes how long meta is still fresh, counted from now.
func (s *cacheStatus) setTTL(meta *cirque.CacheMeta, now time.Time) {
	s.ttl, s.hasTTL = -meta.Staleness(now), true
}

// setStale notes that the answer is meta although it is stale at now; detail says why.
func (s *cacheStatus) setStale(meta *cirque.CacheMeta, now time.Time, detail string) {
	s.setTTL(meta, now)
	s.hit, s.fwd, s.detail = true, "", detail
}

// append appends this cache's member of the field, a Structured Fields item (RFC 9211 §2). key is
// empty if it is not wanted.
func (s *cacheStatus) append(b []byte, name, key string) []byte {
	b = append(b, name...)
	if s.hit {
		b = append(b, "; hit"...)
	}
	if s.fwd != "" {
		b = append(append(b, "; fwd="...), s.fwd...)
	}
	if s.fwdStatus != 0 {
		b = strconv.AppendInt(append(b, "; fwd-status="...), int64(s.fwdStatus), 10)
	}
	if s.stored {
		b = append(b, "; stored"...)
	}
	if s.collapsed {
		b = append(b, "; collapsed"...)
	}
	if s.hasTTL {
		// Rounded down, so that a response that is stale by less than a second has -1 and not 0.
		seconds := s.ttl / time.Second
		if s.ttl < 0 && s.ttl%time.Second != 0 {
			seconds--
		}
		b = strconv.AppendInt(append(b, "; ttl="...), int64(seconds), 10)
	}
	if key != "" {
		b = appendSFString(append(b, "; key="...), key)
	}
	if s.detail != "" {
		b = append(append(b, "; detail="...), s.detail...)
	}
	return b
}

// appendSFString appends s as a Structured Fields string (RFC 9651 §3.3.3). Such a string holds
// printable ASCII only; other bytes are written as "%xx".
func appendSFString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c >= 0x7f:
			b = append(b, '%', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// setCacheStatus adds this cache's member after those of the caches further up (RFC 9211 §2). room,
// if not nil, is an empty slice that is used if there are none.
func (x *transaction) setCacheStatus(header http.Header, room []string) {
	var stack [128]byte
	var key string
	if x.cache.cfg.CacheStatusKey && x.hc.Enabled() {
		key = x.hc.Key().String()
	}
	line := string(x.status.append(stack[:0], x.cache.cfg.Name, key))
	if upstream := header["Cache-Status"]; len(upstream) > 0 {
		room = upstream
	}
	header["Cache-Status"] = append(room, line)
}
