package cirque_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/memcache"
)

// modelFetch is a fetch of one resource. The version of a response is the second in which the
// origin made it.
type modelFetch struct {
	c         *cirque.HttpCache
	asked     time.Time
	made      time.Time // when the origin made its answer; zero: not yet
	validates bool
	whole     bool // what it validates
	fill      *cirque.Fill
}

// model has two caches on one Storage, many simultaneous fetches of one resource, and what is known
// of them.
type model struct {
	t       *testing.T
	random  *rand.Rand
	caches  [2]*cirque.CacheOptions
	streams bool
	fetches []*modelFetch
	purged  time.Time // when the last purge was
	stored  time.Time // the version of the most recent response stored, or validated, since
	hits    int
}

// log notes an event of a fetch. Times are in seconds.
func (m *model) log(what string, f *modelFetch, err error) {
	m.t.Logf("%d: %s: asked %d, made %d: %v", seconds(time.Now()), what, seconds(f.asked), seconds(f.made), err)
}

func seconds(t time.Time) int64 { return t.Unix() % 1000 }

func (m *model) begin() {
	c := new(cirque.HttpCache)
	c.Enable(m.caches[m.random.IntN(2)])
	c.SetKey(keyA)
	f := &modelFetch{c: c}
	meta, hit, err := c.Lookup(m.t.Context())
	if err == nil && meta.Has(cirque.MetaVaryRecord) {
		meta, hit, err = c.VaryLookup(m.t.Context(), meta, hit, languages("en"), nil)
	}
	switch {
	case err != nil:
		require.ErrorIs(m.t, err, cirque.ErrNotFound)
		c.Miss()
	default:
		f.validates, f.whole = m.random.IntN(2) == 0, hit.CountsAccess()
		c.Found(meta, hit, cirque.HitForceExpired)
	}
	f.asked = time.Now()
	c.SetPurgeEpoch(m.caches[0].Storage.Purges().Epoch())
	m.fetches = append(m.fetches, f)
}

// end removes the ith fetch.
func (m *model) end(i int) {
	m.fetches[i].c.Release()
	m.fetches = append(m.fetches[:i], m.fetches[i+1:]...)
}

func (m *model) answer(i int) {
	f := m.fetches[i]
	now := time.Now()
	header := http.Header{"Date": {f.made.UTC().Format(http.TimeFormat)}, "Cache-Groups": {`"g"`}}
	meta := cirque.NewCacheMeta(http.StatusOK, header, now, now.Add(time.Hour), 0, 0)
	meta.SetAsked(f.asked)
	meta.SetGroups("https://example.com")
	if f.validates {
		err := f.c.Revalidate(m.t.Context(), meta)
		m.log("validated", f, err)
		if err == nil {
			// A variant can be out of reach, as Vary may have changed, and a write under way may
			// fail.
			if f.whole && f.c.Key().Variance().IsZero() {
				m.known(f.made)
			}
		} else {
			require.ErrorIs(m.t, err, cirque.ErrNotFound)
		}
		m.end(i)
		return
	}
	f.c.SetMeta(meta)
	var vary []string
	if n := m.random.IntN(6); n < 2 {
		vary = []string{[]string{"Accept-Language", "Accept"}[n]}
	}
	f.c.UpdateVariance(m.t.Context(), vary, languages("en"), nil)
	fill, err := f.c.StartFill(m.t.Context(), cirque.FillOptions{Reader: m.t.Context(), SizeHint: -1})
	m.log(fmt.Sprint("begun, varies by ", vary), f, err)
	if err != nil {
		require.ErrorIs(m.t, err, cirque.ErrPurged)
		m.end(i)
		return
	}
	f.fill = fill
}

func (m *model) known(version time.Time) {
	if version.After(m.stored) {
		m.stored = version
	}
}

func (m *model) finish(i int) {
	f := m.fetches[i]
	if m.random.IntN(4) == 0 {
		if m.streams && f.fill.NoCacheReason() == "" {
			m.stored = time.Time{} // its vary record may have taken the place of that
		}
		f.fill.Abort(cirque.UpstreamError)
		m.log("aborted", f, nil)
	} else {
		_, err := f.fill.Write([]byte("body"))
		require.NoError(m.t, err)
		err = f.fill.Finish()
		m.log("finished", f, err)
		if err == nil {
			require.False(m.t, f.asked.Before(m.purged), "stored, though it was asked for before a purge")
			m.known(f.made)
		} else {
			require.True(m.t, errors.Is(err, cirque.ErrNotFound) || errors.Is(err, cirque.ErrUnlinked), err)
		}
	}
	m.end(i)
}

func (m *model) purge() {
	o := m.caches[m.random.IntN(2)]
	m.t.Logf("%d: purge", seconds(time.Now()))
	switch m.random.IntN(3) {
	case 0:
		if err := o.Purge(m.t.Context(), keyA); err != nil {
			require.ErrorIs(m.t, err, cirque.ErrNotFound)
		}
	case 1:
		require.NoError(m.t, o.Storage.Purges().PurgeAll(m.t.Context()))
	case 2:
		require.NoError(m.t, o.PurgeGroups(m.t.Context(), "https://example.com", "g"))
	}
	m.purged, m.stored = time.Now(), time.Time{}
}

// check looks the resource up and requires that no older response is found.
func (m *model) check() {
	floor := m.stored
	for _, f := range m.fetches {
		if m.streams && f.fill != nil && f.fill.NoCacheReason() == "" && !f.asked.Before(m.purged) && f.made.After(floor) {
			floor = f.made
		}
	}
	for i, o := range m.caches {
		var c cirque.HttpCache
		c.Enable(o)
		c.SetKey(keyA)
		meta, hit, err := c.Lookup(m.t.Context())
		if err == nil && meta.Has(cirque.MetaVaryRecord) {
			meta, hit, err = c.VaryLookup(m.t.Context(), meta, hit, languages("en"), nil)
		}
		if err != nil {
			require.ErrorIs(m.t, err, cirque.ErrNotFound)
			continue
		}
		m.hits++
		require.NoError(m.t, hit.Close())
		made, err := http.ParseTime(meta.Header().Get("Date"))
		require.NoError(m.t, err)
		require.False(m.t, meta.Asked().Before(m.purged), "cache %d: from before the purge at %v", i, m.purged)
		require.False(m.t, made.Before(floor), "cache %d: version %v, and there is %v", i, made, floor)
	}
}

// In any order of events, no response from before a purge is found, and none that is older than the
// stored one.
func TestRecencyModel(t *testing.T) {
	runs, steps := 60, 300
	if testing.Short() {
		runs = 5
	}
	for kind, storage := range map[string]func() cirque.Storage{
		"streaming": func() cirque.Storage { return memcache.New(memcache.Config{}) },
		"plain":     func() cirque.Storage { return newPlainStore() },
	} {
		t.Run(kind, func(t *testing.T) {
			hits := 0
			for seed := range runs {
				synctest.Test(t, func(t *testing.T) {
					store := storage()
					_, streams := store.(cirque.StreamingStorage)
					m := &model{
						t: t, random: rand.New(rand.NewPCG(uint64(seed), 1)), streams: streams,
						caches: [2]*cirque.CacheOptions{{Storage: store}, {Storage: store}},
					}
					for range steps {
						time.Sleep(time.Second)
						m.step()
						m.check()
					}
					for len(m.fetches) > 0 {
						if f := m.fetches[0]; f.fill != nil {
							f.fill.Abort(cirque.UpstreamError)
						}
						m.end(0)
					}
					hits += m.hits
				})
				require.False(t, t.Failed(), fmt.Sprint("seed ", seed))
			}
			require.Greater(t, hits, runs*steps/4, "with fewer hits the test checks too little")
		})
	}
}

func (m *model) step() {
	n := m.random.IntN(100)
	if len(m.fetches) == 0 || n < 15 && len(m.fetches) < 6 {
		m.begin()
		return
	}
	if n < 18 {
		m.purge()
		return
	}
	i := m.random.IntN(len(m.fetches))
	switch f := m.fetches[i]; {
	case f.fill != nil:
		m.finish(i)
	case f.made.IsZero():
		f.made = time.Now()
	default:
		m.answer(i)
	}
}
