package cirque

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Of two exchanges that do not overlap, the one asked for later is the more recent, whatever their
// Dates say. Of two that overlap, the one with the later Date is, where a Date counts as no later
// than the receipt. If the Dates are equal, it is the one asked for later.
func TestMoreRecent(t *testing.T) {
	start := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	exchange := func(asked, received float64, date ...float64) *CacheMeta {
		header := http.Header{}
		for _, d := range date {
			header.Set("Date", at(d).Format(http.TimeFormat))
		}
		m := NewCacheMeta(0, header, at(received), at(received), 0, 0)
		m.SetAsked(at(asked))
		return m
	}
	for name, test := range map[string]struct {
		older, newer *CacheMeta
		neither      bool
	}{
		"one after the other":                         {older: exchange(0, 1), newer: exchange(2, 3)},
		"one after the other, Dates the other way":    {older: exchange(0, 1, 100), newer: exchange(2, 3, -100)},
		"one after the other, the first ahead":        {older: exchange(0, 1, 3600), newer: exchange(2, 3, 2)},
		"overlapping, Dates as asked":                 {older: exchange(0, 10, 1), newer: exchange(5, 6, 5)},
		"overlapping, Dates the other way":            {older: exchange(5, 6, 5), newer: exchange(0, 10, 9)},
		"overlapping, equal Dates":                    {older: exchange(0, 10, 5), newer: exchange(5, 6, 5)},
		"overlapping, both ahead, received as asked":  {older: exchange(0, 8, 3600), newer: exchange(5, 12, 7200)},
		"overlapping, ahead counts as when received":  {older: exchange(0, 5, 3600), newer: exchange(2, 9, 8)},
		"overlapping, no Dates":                       {older: exchange(0, 5), newer: exchange(2, 9)},
		"overlapping, a Date that is none":            {older: exchange(0, 5, 3), newer: undated(exchange(2, 9))},
		"the same moment":                             {older: exchange(0, 0), newer: exchange(0, 0), neither: true},
		"asked at the same moment, with equal Dates":  {older: exchange(0, 3, 1), newer: exchange(0, 4, 1), neither: true},
		"one asked when the other came, equal Dates":  {older: exchange(0, 1, 1), newer: exchange(1, 2, 1)},
		"no delay known, one after the other":         {older: exchange(1, 1), newer: exchange(2, 2)},
		"nanoseconds between them, Dates another way": {older: exchange(0, 1, 500), newer: exchange(1.000000001, 2, -500)},
	} {
		now := at(1000)
		require.Equal(t, !test.neither, moreRecent(test.newer, test.older, now), name)
		require.False(t, moreRecent(test.older, test.newer, now), name)
	}
	require.False(t, moreRecent(exchange(3600, 3601), exchange(0, 1), at(2)), "the clock was set back since")
}

func undated(m *CacheMeta) *CacheMeta {
	m.SetHeader(http.Header{"Date": {"yesterday"}})
	return m
}

func TestAskedIsInTheBinaryForm(t *testing.T) {
	now := time.Unix(1700000000, 5)
	m := NewCacheMeta(200, nil, now, now, 0, 0)
	plain := m.MetaSize()
	require.Equal(t, now, m.Asked())
	m.SetAsked(now.Add(-30 * time.Millisecond))
	require.LessOrEqual(t, m.MetaSize()-plain, 8, "bytes of an entry")
	m.SetPurgeEpoch(PurgeEpoch(now.UnixNano()))
	b, err := m.AppendBinary(nil)
	require.NoError(t, err)
	require.Len(t, b, m.MetaSize())
	var again CacheMeta
	require.NoError(t, again.UnmarshalBinary(b))
	require.Equal(t, *m, again)
	require.Equal(t, now.Add(-30*time.Millisecond), again.Asked())
	require.Equal(t, PurgeEpoch(now.UnixNano()), again.PurgeEpoch())
	m.SetAsked(now.Add(time.Second))
	require.Equal(t, now, m.Asked(), "no later than it was received")
}
