package cirque_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
)

// metaOf returns the meta of a response with this name that was asked for and received so many
// seconds ago.
func metaOf(name string, asked, received int) *cirque.CacheMeta {
	at := time.Now().Add(time.Duration(-received) * time.Second)
	m := cirque.NewCacheMeta(http.StatusOK, http.Header{"Etag": {name}}, at, at.Add(time.Hour), 0, 0)
	m.SetAsked(at.Add(time.Duration(received-asked) * time.Second))
	return m
}

// fillPast begins a fill for a request that skips the lookup.
func (h *house) fillPast(meta *cirque.CacheMeta, vary []string) (*cirque.HttpCache, *cirque.Fill) {
	h.t.Helper()
	c := h.begin(keyA)
	c.Bypass()
	c.SetMeta(meta)
	c.UpdateVariance(h.t.Context(), vary, languages("en"), nil)
	f, err := c.StartFill(h.t.Context(), cirque.FillOptions{Reader: h.t.Context(), SizeHint: -1})
	require.NoError(h.t, err)
	return c, f
}

func (h *house) putPast(meta *cirque.CacheMeta) {
	h.t.Helper()
	_, f := h.fillPast(meta, nil)
	h.write(f, "body")
	require.NoError(h.t, f.Finish())
}

// wantResponse fails the test unless a request gets this response.
func (h *house) wantResponse(name string) {
	h.t.Helper()
	_, meta, hit := h.look(keyA, languages("en"), nil)
	require.NotNil(h.t, hit)
	defer hit.Close()
	require.Equal(h.t, name, meta.Header().Get("Etag"))
}

// shapes has the fields that an older and a newer response vary by.
var shapes = map[string][2][]string{
	"neither varies":    {nil, nil},
	"the older varies":  {byLanguage, nil},
	"the newer varies":  {nil, byLanguage},
	"both vary":         {byLanguage, byLanguage},
	"both vary, by two": {[]string{"Accept"}, byLanguage},
}

// Of two writes, in any order of their beginnings and ends, the more recent response is found as
// soon as it can be. The readers of both get their own.
func TestMoreRecentResponseIsFound(t *testing.T) {
	for shape, vary := range shapes {
		t.Run(shape, func(t *testing.T) {
			eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
				for _, order := range []string{"oOnN", "onNO", "onON", "noON", "noNO", "nNoO"} {
					h := newHouse(t, nil)
					var walks [2]*cirque.HttpCache
					var fills [2]*cirque.Fill
					stored := false
					_, streams := h.Storage.(cirque.StreamingStorage)
					for _, step := range order {
						switch step {
						case 'o':
							walks[0], fills[0] = h.fillPast(metaOf("old", 30, 20), vary[0])
						case 'n':
							walks[1], fills[1] = h.fillPast(metaOf("new", 10, 5), vary[1])
						case 'O', 'N':
							i, name := 0, "old body"
							if step == 'N' {
								i, name = 1, "new body"
							}
							h.write(fills[i], name)
							err := fills[i].Finish()
							if step == 'N' {
								require.NoError(t, err, order)
							} else if err != nil {
								require.True(t, errors.Is(err, cirque.ErrNotFound) || errors.Is(err, cirque.ErrUnlinked), "%s: %v", order, err)
							}
							require.Equal(t, name, h.read(walks[i]), order)
						}
						if stored = stored || step == 'N'; stored || streams && fills[1] != nil {
							h.wantResponse("new")
						}
					}
					h.wantResponse("new")
					require.Empty(t, h.tally.Open(), order)
				}
			})
		})
	}
}

// It is known as soon as the fill begins that it is not stored.
func TestSupersededFillReturnsErrSuperseded(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		h.put(keyA, metaOf("new", 10, 5), "new body")
		c, f := h.fillPast(metaOf("old", 30, 20), nil)
		require.Equal(t, cirque.Deferred, f.NoCacheReason())
		require.ErrorIs(t, f.Err(), cirque.ErrSuperseded)
		require.NotZero(t, f.Tag())
		h.write(f, "old body")
		require.ErrorIs(t, f.Finish(), cirque.ErrSuperseded)
		require.Equal(t, "old body", h.read(c))

		nobody := h.begin(keyA)
		nobody.Bypass()
		nobody.SetMeta(metaOf("old", 30, 20))
		f, err := nobody.StartFill(t.Context(), cirque.FillOptions{})
		require.NoError(t, err)
		_, err = f.Write([]byte("old body"))
		require.ErrorIs(t, err, cirque.ErrNoReaders)
		f.Abort(cirque.UpstreamError)
		h.wantResponse("new")
	})
}

// A more recent write hides an older entry, and an older write that ends. If the more recent write
// fails, neither is left.
func TestFailedMoreRecentFillLeavesNothingOlder(t *testing.T) {
	h := inMemory(t)
	h.put(keyA, metaOf("oldest", 60, 50), "oldest")
	_, older := h.fillPast(metaOf("old", 30, 20), nil)
	_, newer := h.fillPast(metaOf("new", 10, 5), nil)
	h.write(older, "old body")
	require.ErrorIs(t, older.Finish(), cirque.ErrSuperseded)
	h.wantResponse("new")
	newer.Abort(cirque.UpstreamError)
	require.False(t, finds(t, h.CacheOptions, keyA))
}

// A late answer to an older validation does not undo a newer one. Nor does an older refusal remove
// the entry.
func TestOlderAnswerThatComesLateChangesNothing(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		stale := func(h *house) *cirque.HttpCache {
			c, meta, hit := h.look(keyA, nil, nil)
			c.Found(meta, hit, cirque.HitForceExpired)
			return c
		}
		refused := func(asked, received int) *cirque.CacheMeta {
			now := time.Now()
			return answer(now.Add(time.Duration(-asked)*time.Second), now.Add(time.Duration(-received)*time.Second))
		}
		for name, late := range map[string]func(c *cirque.HttpCache) error{
			"validated": func(c *cirque.HttpCache) error { return c.Revalidate(t.Context(), metaOf("b", 20, 15)) },
			"refused":   func(c *cirque.HttpCache) error { return c.Supersede(t.Context(), refused(20, 15)) },
			"validated and refused": func(c *cirque.HttpCache) error {
				return c.RevalidateUncacheable(t.Context(), metaOf("b", 20, 15), cirque.OriginNotCache)
			},
		} {
			for by, overtake := range map[string]func(h *house){
				"a validation": func(h *house) { require.NoError(t, stale(h).Revalidate(t.Context(), metaOf("c", 10, 5))) },
				"a response":   func(h *house) { h.putPast(metaOf("c", 10, 5)) },
			} {
				h := newHouse(t, nil)
				h.put(keyA, metaOf("a", 60, 50), "body")
				c := stale(h)
				overtake(h)
				require.ErrorIs(t, late(c), cirque.ErrNotFound, "%s after %s", name, by)
				h.wantResponse("c")
				c.Release()
			}
		}

		// A more recent refusal removes the entry, and supersedes writes that were asked for before
		// it.
		h := newHouse(t, nil)
		h.put(keyA, metaOf("a", 60, 50), "body")
		c := stale(h)
		_, f := h.fillPast(metaOf("b", 20, 15), nil)
		require.NoError(t, c.Supersede(t.Context(), refused(10, 5)))
		h.write(f, "b")
		require.ErrorIs(t, f.Finish(), cirque.ErrNotFound)
		require.False(t, finds(t, h.CacheOptions, keyA))

		// Writes that are more recent than the refusal go on.
		h.putPast(metaOf("a", 60, 50))
		c = stale(h)
		_, f = h.fillPast(metaOf("c", 3, 2), nil)
		err := c.Supersede(t.Context(), refused(10, 5))
		require.True(t, err == nil || errors.Is(err, cirque.ErrSuperseded))
		h.write(f, "c")
		require.NoError(t, f.Finish())
		h.wantResponse("c")
	})
}
