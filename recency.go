package cirque

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cirquecache/cirque/internal/field"
)

// Of two responses for one slot the more recent one counts (RFC 9111 §4), whichever was complete
// first. Exchanges that do not overlap are in the order in which they took place: the clock of an
// origin that is wrong, or that of another origin server, has no say in that. Of two that overlap,
// the origin's Date decides.

// ErrSuperseded says that a more recent response is stored, or on its way there. It is an
// ErrNotFound.
var ErrSuperseded = fmt.Errorf("%w: superseded by a more recent response", ErrNotFound)

// moreRecent reports whether the exchange that a comes from, or was last validated by, is more
// recent than that of b, as seen at now.
func moreRecent(a, b *CacheMeta, now time.Time) bool {
	askedA, askedB := a.updated-a.asked, b.updated-b.asked
	switch {
	case a.updated > now.UnixNano():
		return false // the clock was set back: its times would hold off everything newer
	case askedA > b.updated:
		return true
	case askedB > a.updated:
		return false
	}
	// Seconds are all that Date tells.
	if dateA, dateB := a.cappedDate(), b.cappedDate(); dateA != dateB {
		return dateA > dateB
	}
	return askedA > askedB
}

// cappedDate returns when the origin made the response, in Unix seconds, and no later than it was
// received: a clock that is ahead must not keep out newer responses.
func (m *CacheMeta) cappedDate() int64 {
	received := m.Updated()
	if date, ok := field.ParseDate(m.header.Get("Date"), received); ok && date.Before(received) {
		return date.Unix()
	}
	return received.Unix()
}

// orderAs gives m, which holds a vary record, the place in the order of exchanges that one of its
// variants has.
func (m *CacheMeta) orderAs(variant *CacheMeta) {
	m.updated, m.asked, m.purgeEpoch = variant.updated, variant.asked, variant.purgeEpoch
	if date := variant.header.Get("Date"); date != "" {
		m.header = packHeader(http.Header{"Date": {date}})
	}
}

// superseded reports whether err says that a more recent response took the place.
func superseded(err error) bool { return errors.Is(err, ErrSuperseded) }
