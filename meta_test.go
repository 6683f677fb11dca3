package cirque

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMetaAccessors(t *testing.T) {
	h := lines("A: 1")
	m := NewCacheMeta(404, h, testNow, testNow.Add(time.Minute), 5*time.Second, 7*time.Second)
	h.Set("A", "2")
	require.Equal(t, 404, m.StatusCode())
	require.Equal(t, "1", m.Header().Get("A"), "the meta has a copy of the header")
	require.True(t, m.Created().Equal(testNow))
	require.True(t, m.Updated().Equal(testNow))
	require.True(t, m.Epoch().Equal(testNow))
	require.True(t, m.FreshUntil().Equal(testNow.Add(time.Minute)))
	require.Equal(t, 5*time.Second, m.StaleWhileRevalidate())
	require.Equal(t, 7*time.Second, m.StaleIfError())
	require.Zero(t, m.Flags())
	require.True(t, m.Variance().IsZero())

	c := m.Clone()
	c.updated = testNow.Add(time.Second).UnixNano()
	c.freshUntil = testNow.UnixNano()
	c.SetVariance(HashBinary{1})
	c.SetHeader(h)
	c.SetFlags(MetaNoCache | MetaPartial)
	c.SetExtension("x", "y")
	c.swr, c.sie = 0, 0
	require.True(t, c.Updated().Equal(testNow.Add(time.Second)))
	require.True(t, c.Epoch().Equal(testNow.Add(time.Second)))
	require.True(t, c.Created().Equal(testNow))
	require.Equal(t, HashBinary{1}, c.Variance())
	require.Equal(t, "2", c.Header().Get("A"))
	require.True(t, c.Has(MetaNoCache) && c.Has(MetaPartial) && c.Has(MetaNoCache|MetaPartial))
	require.False(t, c.Has(MetaNoStale) || c.Has(MetaNoCache|MetaNoStale))

	require.Equal(t, NewCacheMeta(404, lines("A: 1"), testNow, testNow.Add(time.Minute), 5*time.Second, 7*time.Second), m,
		"what a clone does leaves the original alone")
}

// See RFC 9111 §4.2 and §4.2.3.
func TestMetaAgeAndFreshness(t *testing.T) {
	m := NewCacheMeta(200, nil, testNow, testNow.Add(time.Minute), 0, 0)
	require.Zero(t, m.Age(testNow))
	require.Zero(t, m.Age(testNow.Add(-time.Hour)), "never negative")
	require.Equal(t, time.Duration(math.MaxInt64), m.Age(testNow.AddDate(400, 0, 0)), "at most the largest Duration")
	require.Equal(t, time.Second, m.Age(testNow.Add(time.Second)))
	m.SetEpochOverride(testNow.Add(-10 * time.Second))
	require.Equal(t, 11*time.Second, m.Age(testNow.Add(time.Second)))
	m.updated = testNow.Add(time.Second).UnixNano()
	require.Equal(t, 11*time.Second, m.Age(testNow.Add(time.Second)))
	m.SetEpochOverride(time.Time{})
	require.Zero(t, m.Age(testNow.Add(time.Second)))

	require.True(t, m.IsFresh(testNow.Add(time.Minute-1)))
	require.False(t, m.IsFresh(testNow.Add(time.Minute)), "fresh while the lifetime exceeds the age")
	require.Equal(t, -59*time.Second, m.Staleness(testNow.Add(time.Second)))
	require.Equal(t, -59*time.Second, m.Staleness(testNow), "never younger than at its receipt")
	require.Equal(t, time.Second, m.Staleness(testNow.Add(61*time.Second)))
	m.freshUntil = m.updated
	require.False(t, m.IsFresh(testNow), "it arrived stale")
}

// See RFC 5861 §3 and §4.
func TestMetaServeStale(t *testing.T) {
	at := func(d time.Duration) time.Time { return testNow.Add(d) }
	m := NewCacheMeta(200, nil, testNow, testNow, 5*time.Second, 7*time.Second)
	require.True(t, m.ServeStaleWhileRevalidate(at(5*time.Second-1)))
	require.False(t, m.ServeStaleWhileRevalidate(at(5*time.Second)))
	require.True(t, m.ServeStaleIfError(at(7*time.Second-1)))
	require.False(t, m.ServeStaleIfError(at(7*time.Second)))
	for _, flag := range []MetaFlags{MetaNoStale, MetaNoCache} {
		m.SetFlags(flag)
		require.False(t, m.ServeStaleWhileRevalidate(testNow))
		require.False(t, m.ServeStaleIfError(testNow))
	}
}

func TestMetaStaleWindowsAreWholeSecondsInBounds(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		-time.Second:              0,
		time.Second - 1:           0,
		time.Second + 1:           time.Second,
		math.MaxInt64:             (1<<32 - 1) * time.Second,
		(1<<32 - 1) * time.Second: (1<<32 - 1) * time.Second,
	} {
		m := NewCacheMeta(200, nil, testNow, testNow, d, d)
		require.Equal(t, want, m.StaleWhileRevalidate())
		require.Equal(t, want, m.StaleIfError())
	}
}

func TestMetaExtensions(t *testing.T) {
	m := new(CacheMeta)
	_, ok := m.Extension("a")
	require.False(t, ok)
	m.SetExtension("b", "2")
	m.SetExtension("a", "1")
	m.SetExtension("", "no name")
	m.SetExtension("b", "two")
	m.SetExtension("c", "\x00\r\n")
	m.SetExtension("c", "")
	m.SetExtension("never", "")
	got := map[string]string{}
	var order []string
	for name, value := range m.allExtensions() {
		got[name] = value
		order = append(order, name)
	}
	require.Equal(t, map[string]string{"": "no name", "a": "1", "b": "two"}, got)
	require.Equal(t, []string{"", "a", "b"}, order)
	for range m.allExtensions() {
		break
	}
	value, ok := m.Extension("b")
	require.True(t, ok)
	require.Equal(t, "two", value)
	_, ok = m.Extension("c")
	require.False(t, ok)
}
