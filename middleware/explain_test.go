package middleware_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/rules"
	"github.com/cirquecache/cirque/tiered"
)

// explainable answers by path.
func explainable(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	switch strings.Split(r.URL.Path, "/")[1] {
	case "languages":
		h.Set("Cache-Control", "max-age=600")
		h.Set("Vary", "Accept-Language")
		h.Set("Content-Language", r.Header.Get("Accept-Language"))
		h.Set("Etag", `"`+r.Header.Get("Accept-Language")+`"`)
	case "private":
		h.Set("Cache-Control", "private, max-age=600")
	case "targeted":
		h.Set("Cache-Control", "max-age=5")
		h.Set("CDN-Cache-Control", "max-age=600")
	case "grouped":
		h.Set("Cache-Control", "max-age=600")
		h.Set("Cache-Groups", `"news"`)
	case "stale":
		h.Set("Cache-Control", "max-age=1, stale-while-revalidate=600")
		h.Set("Etag", `"1"`)
		aged(w, 30*time.Second)
	default:
		h.Set("Cache-Control", "max-age=600")
	}
	io.WriteString(w, "hello")
}

// explain explains a GET for path, as the door of h sees it.
func (h *harness) explain(path string, header ...string) middleware.Explanation {
	h.t.Helper()
	base := h.front.URL
	if h.door == "transport" {
		base = h.origin.URL
	}
	r, err := http.NewRequest("GET", base+path, nil)
	require.NoError(h.t, err)
	addFields(r.Header, header)
	if h.door == "transport" {
		r.Host = strings.TrimPrefix(h.front.URL, "http://") // which the proxy passes on
	}
	return h.cache.Explain(r)
}

func (h *harness) ask(path string, header ...string) {
	h.t.Helper()
	r, err := http.NewRequest("GET", h.front.URL+path, nil)
	require.NoError(h.t, err)
	addFields(r.Header, header)
	response, err := h.client.Do(r)
	require.NoError(h.t, err)
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(h.t, err)
	response.Body.Close()
	require.NoError(h.t, h.cache.Wait(h.t.Context()))
}

func TestExplainSaysWhichVariantWasSelected(t *testing.T) {
	eachDoor(t, middleware.Config{}, explainable, func(t *testing.T, h *harness) {
		h.ask("/languages", "Accept-Language", "en")
		h.ask("/languages", "Accept-Language", "de")
		e := h.explain("/languages", "Accept-Language", "de")
		require.Equal(t, middleware.WouldHit, e.Now)
		require.Equal(t, 200, e.Status)
		require.Equal(t, h.door, e.Door.String())
		require.Contains(t, e.String(), "Vary: Accept-Language selected the variant for de. [RFC 9111 §4.1]\n")
		require.Contains(t, e.String(), `Content-Language en, Content-Type text/plain; charset=utf-8, ETag "en".`)
		require.True(t, e.Vary.Selected)
		require.Len(t, e.Vary.Variants, 2)
		require.Equal(t, "en", e.Vary.Variants[0].Language)
		require.False(t, e.Vary.Variants[0].Selected)
		require.True(t, e.Vary.Variants[1].Selected)
		require.EqualValues(t, 5, e.Stored.Size)

		e = h.explain("/languages", "Accept-Language", "fr")
		require.Equal(t, middleware.WouldFetch, e.Now)
		require.Contains(t, e.String(), "Vary: Accept-Language: no variant is stored for fr.")
		require.Equal(t, []string{`If-None-Match: "de", "en"`}, e.Conditions)
		require.Nil(t, e.Stored)
		require.Contains(t, h.explain("/languages").String(), "no variant is stored for no Accept-Language.")
	})
}

func TestExplainSaysWhatNormalizeMade(t *testing.T) {
	cfg := middleware.Config{Normalize: map[string]func([]string) string{"Accept-Language": middleware.LanguageClass("en", "de")}}
	h := newHarness(t, "handler", cfg, explainable)
	h.ask("/languages", "Accept-Language", "de-CH, de;q=0.9")
	e := h.explain("/languages", "Accept-Language", "de-AT, de;q=0.5")
	require.Contains(t, e.String(), "Vary: Accept-Language selected the variant for de.")
	require.Contains(t, e.String(), `Config.Normalize made "de" of Accept-Language: de-AT, de;q=0.5.`)
}

func TestExplainSaysWhyAResponseIsNotStored(t *testing.T) {
	eachDoor(t, middleware.Config{}, explainable, func(t *testing.T, h *harness) {
		e := h.explain("/private")
		require.Nil(t, e.Refused)
		require.Nil(t, e.Uncacheable)
		h.ask("/private")
		e = h.explain("/private")
		require.Equal(t, middleware.WouldFetch, e.Now)
		require.Equal(t, "private", e.Refused.Token)
		require.Equal(t, "RFC 9111 §5.2.2.7", e.Refused.Section)
		require.Equal(t, 200, e.Refused.Status)
		require.Equal(t, string(cirque.OriginNotCache), e.Uncacheable.Reason)
		require.Contains(t, e.String(), "The response is private, and this cache is shared. [RFC 9111 §5.2.2.7]")
		require.Contains(t, e.String(), "Nothing is stored for it.")
	})
}

func TestExplainSaysWhichFieldGaveTheLifetime(t *testing.T) {
	eachDoor(t, middleware.Config{}, explainable, func(t *testing.T, h *harness) {
		h.ask("/targeted")
		e := h.explain("/targeted")
		require.Equal(t, "max-age", e.Stored.Source)
		require.Equal(t, "Cdn-Cache-Control", e.Stored.Field)
		require.Equal(t, 600*time.Second, e.Stored.Lifetime)
		require.Contains(t, e.String(), "The lifetime is 10m0s, by max-age in Cdn-Cache-Control. [RFC 9111 §4.2.1]")
		e = h.explain("/targeted", "Cache-Control", "max-age=0")
		require.Equal(t, middleware.WouldValidate, e.Now)
		require.Contains(t, e.String(), "The stored response is older than the request's max-age allows. [RFC 9111 §5.2.1.1]")
		require.Contains(t, h.explain("/other", "Cache-Control", "no-store").String(), "The answer would not be stored.")
		e = h.explain("/other", "Cache-Control", "only-if-cached")
		require.Equal(t, middleware.WouldFail, e.Now)
		require.Equal(t, 504, e.Status)
	})
}

func TestExplainSaysWhichPurgeApplies(t *testing.T) {
	eachDoor(t, middleware.Config{}, explainable, func(t *testing.T, h *harness) {
		h.ask("/grouped")
		h.ask("/soft")
		r, err := http.NewRequest("GET", h.front.URL+"/soft", nil)
		require.NoError(t, err)
		if h.door == "transport" {
			r.URL.Host, r.Host = strings.TrimPrefix(h.origin.URL, "http://"), r.URL.Host
		}
		require.NoError(t, h.cache.SoftPurge(t.Context(), r))
		e := h.explain("/soft")
		require.Equal(t, "changed", e.Stored.Source)
		require.Equal(t, middleware.WouldValidate, e.Now)
		require.Contains(t, e.String(), "it was changed after the response was stored, as by a soft purge")

		e = h.explain("/grouped")
		require.Equal(t, []string{"news"}, e.Stored.Groups)
		require.Empty(t, e.Stored.Void)
		require.NoError(t, h.cache.PurgeGroup(t.Context(), r, "news"))
		e = h.explain("/grouped")
		require.Equal(t, "group purged", e.Stored.Void)
		require.Equal(t, middleware.WouldFetch, e.Now)
		require.Greater(t, e.Epoch, e.Stored.Epoch)
		require.NoError(t, h.cache.PurgeAll(t.Context()))
		require.Equal(t, "purged", h.explain("/soft").Stored.Void)
	})
}

func TestExplainSeesAFillUnderWay(t *testing.T) {
	release, arrived := make(chan struct{}), make(chan struct{}, 1)
	origin := func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		w.Header().Set("Cache-Control", "max-age=600")
		io.WriteString(w, "x")
	}
	h := newHarness(t, "handler", middleware.Config{}, origin)
	done := make(chan struct{})
	go func() { defer close(done); h.ask("/slow") }()
	<-arrived
	e := h.explain("/slow")
	require.Equal(t, middleware.WouldWait, e.Now)
	require.True(t, e.Fill.Locked)
	require.Contains(t, e.String(), "It would wait for the request that is fetching the response now.")
	close(release)
	<-done
	e = h.explain("/slow")
	require.Equal(t, middleware.WouldHit, e.Now)
	require.Nil(t, e.Fill)
}

func TestExplainOfWhatIsNotForACache(t *testing.T) {
	h := newHarness(t, "handler", middleware.Config{RequestFilter: func(r *http.Request) bool { return r.URL.Path != "/filtered" }}, explainable)
	h.ask("/page")
	explain := func(method, path string, header ...string) middleware.Explanation {
		r, err := http.NewRequest(method, h.front.URL+path, nil)
		require.NoError(t, err)
		addFields(r.Header, header)
		return h.cache.ExplainHandler(r)
	}
	e := explain("DELETE", "/page")
	require.Equal(t, middleware.WouldBypass, e.Now)
	require.NotNil(t, e.Stored, "what a GET would find")
	require.Contains(t, e.String(), "DELETE is not safe: if it succeeds, what is stored for the URL is removed. [RFC 9111 §4.4]")
	e = explain("GET", "/filtered")
	require.Equal(t, middleware.WouldBypass, e.Now)
	require.Contains(t, e.String(), "Config.RequestFilter keeps the request out of the cache.")
	e = explain("GET", "/page", "Connection", "upgrade", "Upgrade", "websocket")
	require.Equal(t, middleware.WouldBypass, e.Now)
	require.Contains(t, e.String(), "[RFC 9110 §7.8]")
	require.Equal(t, middleware.WouldPurge, explain("PURGE", "/page").Now)
	require.Equal(t, middleware.WouldBypass, explain("GET", "/page", "If-Match", `"a"`).Now)
	bare := h.cache.ExplainHandler(&http.Request{URL: explainURL(t, h.front.URL+"/page")})
	require.Equal(t, middleware.WouldHit, bare.Now, "a request without method and header is a GET")
}

// Explain changes nothing: not what is stored, not what is counted, not the order of eviction, not
// the tier of an entry.
func TestExplainChangesNothing(t *testing.T) {
	order, err := eviction.New("simple-lru", 1<<20)
	require.NoError(t, err)
	upperOrder, err := eviction.New("simple-lru", 1<<20)
	require.NoError(t, err)
	upper, lower := memcache.New(memcache.Config{}), memcache.New(memcache.Config{})
	cfg := middleware.Config{
		Storage: tiered.New(upper, lower, tiered.Config{UpperEviction: upperOrder}), Eviction: order,
		ServeStale: func(*http.Request, *cirque.CacheMeta, int, error) bool { return true },
		HitFilter:  func(*http.Request, *cirque.CacheMeta) rules.ForcedFreshness { return 0 },
	}
	eachDoor(t, cfg, explainable, func(t *testing.T, h *harness) {
		paths := []string{"/a", "/b", "/languages", "/private", "/stale", "/grouped"}
		for _, path := range paths {
			h.ask(path, "Accept-Language", "en")
		}
		for _, s := range []*memcache.MemCache{upper} { // entries that are in the lower Storage alone
			r, err := http.NewRequest("GET", h.front.URL+"/b", nil)
			require.NoError(t, err)
			key, ok := h.cache.HandlerKey(r)
			require.True(t, ok)
			if err := s.Purge(t.Context(), key.Compact(), cirque.PurgeEviction); err != nil {
				require.ErrorIs(t, err, cirque.ErrNotFound)
			}
		}
		type state struct {
			Stats         any
			Order, Upper  string
			Entries, Tier int
			Asked         int
		}
		look := func() state {
			s := h.cache.Stats()
			s.At = time.Time{}
			for i := range s.Storage {
				clear(s.Storage[i].Operations) // the times of lookups, which Explain does
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			return state{s, saved(t, order), saved(t, upperOrder), lower.Len(), upper.Len(), h.count}
		}
		eventually(t, func() bool {
			var counted uint64
			for _, results := range h.cache.Stats().Requests {
				for _, n := range results {
					counted += n
				}
			}
			return counted == uint64(len(paths))
		}, "the requests are counted")
		before := look()
		for range 50 {
			for _, path := range append(paths, "/unknown") {
				for _, header := range [][2]string{
					{"Accept-Language", "en"}, {"Accept-Language", "de"}, {"Cache-Control", "no-cache"}, {"Cache-Control", "only-if-cached"}, {"Range", "bytes=0-1"},
				} {
					e := h.explain(path, header[0], header[1])
					require.NotEmpty(t, e.Now)
					require.Empty(t, e.Error)
					_, err := json.Marshal(e)
					require.NoError(t, err)
				}
			}
		}
		after := look()
		require.Equal(t, before.Stats, after.Stats)
		require.True(t, before.Order == after.Order, "the order of eviction is the same")
		require.True(t, before.Upper == after.Upper, "the order of eviction in the upper Storage is the same")
		require.Equal(t, before, after)
		// The same comparison does see requests.
		h.ask("/a")
		require.False(t, before.Order == look().Order, "the order of eviction")
	})
}

// saved returns the order of eviction.
func saved(t *testing.T, m cirque.EvictionManager) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, m.Save(t.Context(), dir))
	var all strings.Builder
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		all.Write(b)
	}
	return all.String()
}

func TestExplainTellsThatTheStorageFails(t *testing.T) {
	h := newHarness(t, "handler", middleware.Config{Storage: failingLookups{memcache.New(memcache.Config{})}}, explainable)
	e := h.explain("/a")
	require.Equal(t, middleware.WouldBypass, e.Now)
	require.Contains(t, e.Error, "no disk")
	require.Empty(t, h.cache.Stats().StorageErrors)
}

type failingLookups struct{ cirque.Storage }

func (failingLookups) Lookup(context.Context, cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	return nil, nil, errors.New("no disk")
}

func explainURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	require.NoError(t, err)
	return u
}
