package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/inspect"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

// all lists all pages.
func allEntries(t *testing.T, c *middleware.Cache, q middleware.EntriesQuery) (entries []middleware.Entry) {
	t.Helper()
	for {
		page, err := c.Entries(t.Context(), q)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Entries), q.Limit+1)
		entries = append(entries, page.Entries...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return entries
		}
	}
}

func paths(entries []middleware.Entry) (list []string) {
	for _, e := range entries {
		list = append(list, e.Path)
	}
	slices.Sort(list)
	return list
}

func TestEntriesListsWhatIsStored(t *testing.T) {
	eachDoor(t, middleware.Config{}, explainable, func(t *testing.T, h *harness) {
		for n := range 25 {
			h.ask(fmt.Sprintf("/a/%02d?q=%d", n, n))
		}
		h.ask("/b")
		h.ask("/languages", "Accept-Language", "en")
		h.ask("/languages", "Accept-Language", "de")
		h.ask("/private")
		all := allEntries(t, h.cache, middleware.EntriesQuery{Limit: 7})
		require.Len(t, all, 25+1+3)
		require.Len(t, slices.Compact(paths(all)), 25+1+1)
		some := allEntries(t, h.cache, middleware.EntriesQuery{PathPrefix: "/a/1", Limit: 3})
		require.Len(t, some, 10)
		for _, e := range some {
			require.Equal(t, h.door, e.Door.String())
			require.Equal(t, 200, e.Status)
			require.EqualValues(t, 5, e.Size)
			require.Positive(t, e.Fresh)
			require.Equal(t, "http", e.Scheme)
			require.Equal(t, strings.TrimPrefix(h.front.URL, "http://"), e.Host)
			require.Contains(t, e.Key, e.Path)
		}
		var variants, records int
		for _, e := range allEntries(t, h.cache, middleware.EntriesQuery{PathPrefix: "/languages", Limit: 100}) {
			switch {
			case e.Vary != nil:
				require.Equal(t, []string{"Accept-Language"}, e.Vary)
				require.Equal(t, 2, e.Variants)
				records++
			case e.Variance != "":
				variants++
			}
		}
		require.Equal(t, [2]int{2, 1}, [2]int{variants, records})
		require.Empty(t, allEntries(t, h.cache, middleware.EntriesQuery{Host: "elsewhere", Limit: 10}))
		require.Len(t, allEntries(t, h.cache, middleware.EntriesQuery{Host: all[0].Host, Limit: 10}), len(all))
		require.NoError(t, h.cache.PurgeAll(t.Context()))
		require.Empty(t, allEntries(t, h.cache, middleware.EntriesQuery{Limit: 10}))
	})
}

func TestEntriesLeavesOutWhatAnotherCacheStored(t *testing.T) {
	storage := memcache.New(memcache.Config{})
	one := newHarness(t, "handler", middleware.Config{Storage: storage, Namespace: "one"}, explainable)
	two := newHarness(t, "handler", middleware.Config{Storage: storage, Namespace: "two"}, explainable)
	one.ask("/of-one")
	two.ask("/of-two")
	require.Equal(t, []string{"/of-one"}, paths(allEntries(t, one.cache, middleware.EntriesQuery{Limit: 10})))
	require.Equal(t, []string{"/of-two"}, paths(allEntries(t, two.cache, middleware.EntriesQuery{Limit: 10})))
}

func TestEntriesWithKeysOfTheProgram(t *testing.T) {
	cfg := middleware.Config{Key: func(r *http.Request) (string, bool) { return "page:" + r.URL.Path, true }}
	h := newHarness(t, "handler", cfg, explainable)
	h.ask("/x")
	h.ask("/y")
	entries := allEntries(t, h.cache, middleware.EntriesQuery{PathPrefix: "page:/x", Limit: 10})
	require.Len(t, entries, 1)
	require.Equal(t, "page:/x", entries[0].Key)
	_, err := h.cache.Entries(t.Context(), middleware.EntriesQuery{Host: "a"})
	require.Error(t, err)
}

func TestEntriesOfAPrivateCacheDoesNotShowCredentials(t *testing.T) {
	h := newHarness(t, "handler", middleware.Config{Private: true}, explainable)
	h.ask("/mine", "Authorization", "Bearer secret")
	entries := allEntries(t, h.cache, middleware.EntriesQuery{PathPrefix: "/mine", Limit: 10})
	require.Len(t, entries, 1)
	require.Equal(t, "/mine", entries[0].Path)
	require.NotContains(t, fmt.Sprint(entries), "secret")
}

func TestEntriesBoundsItsWork(t *testing.T) {
	h := newHarness(t, "handler", middleware.Config{Storage: &endless{MemCache: memcache.New(memcache.Config{})}}, explainable)
	page, err := h.cache.Entries(t.Context(), middleware.EntriesQuery{PathPrefix: "/none"})
	require.NoError(t, err)
	require.Empty(t, page.Entries)
	require.Equal(t, "more", page.Next)
	_, err = newCache(t, middleware.Config{Storage: struct{ cirque.Storage }{memcache.New(memcache.Config{})}}).Entries(t.Context(), middleware.EntriesQuery{})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = newCache(t, middleware.Config{}).Entries(t.Context(), middleware.EntriesQuery{Cursor: "nonsense"})
	require.Error(t, err)
}

// endless is a Storage whose list has no end.
type endless struct{ *memcache.MemCache }

func (*endless) List(_ context.Context, _ string, look int, want func(cirque.CacheKey) bool, _ func(inspect.StoredEntry)) (string, error) {
	for range look {
		want(cirque.NewCacheKey("h:", "http\x00a\x00\x00/", ""))
	}
	return "more", nil
}
