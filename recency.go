package cirque

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cirquecache/cirque/internal/field"
)

// Of two responses for one slot the more recent one counts (RFC 9111 §4), whichever was complete
// first. If their exchanges do not overlap in time, the one asked for later is the more recent,
// whatever the clocks of the origin servers say. If they overlap, the later Date decides.

// ErrSuperseded means that a more recent response is stored, or is being stored. It wraps
// ErrNotFound.
var ErrSuperseded = fmt.Errorf("%w: superseded by a more recent response", ErrNotFound)

// moreRecent reports whether a is more recent than b at now. The exchange that fetched or last
// validated a response counts.
func moreRecent(a, b *CacheMeta, now time.Time) bool {
	askedA, askedB := a.updated-a.askedAgo, b.updated-b.askedAgo
	switch {
	case a.updated > now.UnixNano():
		return false // our clock was set back; else a would keep out everything newer
	case askedA > b.updated:
		return true
	case askedB > a.updated:
		return false
	}
	// Date has whole seconds.
	if dateA, dateB := a.cappedDate(), b.cappedDate(); dateA != dateB {
		return dateA > dateB
	}
	return askedA > askedB
}

// cappedDate returns the response's Date in Unix seconds, but no later than the response was
// received: an origin whose clock is ahead must not keep out newer responses.
func (m *CacheMeta) cappedDate() int64 {
	received := m.Updated()
	if date, ok := field.ParseDate(m.header.Get("Date"), received); ok && date.Before(received) {
		return date.Unix()
	}
	return received.Unix()
}

// orderAs gives m, which holds a vary record, the place of one of its variants in the order of
// exchanges.
func (m *CacheMeta) orderAs(variant *CacheMeta) {
	m.updated, m.askedAgo, m.purgeEpoch = variant.updated, variant.askedAgo, variant.purgeEpoch
	if date := variant.header.Get("Date"); date != "" {
		m.header = packHeader(http.Header{"Date": {date}})
	}
}

// superseded reports whether err wraps ErrSuperseded.
func superseded(err error) bool { return errors.Is(err, ErrSuperseded) }
