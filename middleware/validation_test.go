package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

// The tags of many variants go upstream in one line of at most 2 KiB, the newest first.
func TestValidationSendsTheNewestTagsOfManyVariants(t *testing.T) {
	tag := func(v string) string { return fmt.Sprintf("%q", v+strings.Repeat("-", 200)) }
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "X-V")
		w.Header().Set("Etag", tag(r.Header.Get("X-V")))
		fresh("x")(w, r)
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		for n := range cirque.MaxVariants {
			h.get("/", "X-V", fmt.Sprint("v", n))
			require.NoError(t, h.cache.Wait(t.Context()))
		}
		sent := h.lastRequest().Header.Get("If-None-Match")
		require.LessOrEqual(t, len(sent), 2<<10)
		require.Contains(t, sent, tag(fmt.Sprint("v", cirque.MaxVariants-2)))
		require.NotContains(t, sent, tag("v0"))
	})
}

// HEAD has no ranges (RFC 9110 §14.2), so the GET that fetches for it asks for the whole.
func TestHeadAsGetAsksForTheWhole(t *testing.T) {
	body := strings.Repeat("0123456789", 10)
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Etag", `"e"`)
		http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader(body))
	}
	cfg := middleware.Config{HeadAsGet: true, Ranges: middleware.RangesForward}
	eachDoor(t, cfg, origin, func(t *testing.T, h *harness) {
		head := h.do(http.MethodHead, "/", "Range", "bytes=0-9", "If-Range", `"e"`)
		require.Equal(t, http.StatusOK, head.StatusCode)
		require.Equal(t, "100", head.Header.Get("Content-Length"))
		require.Equal(t, http.MethodGet, h.lastRequest().Method)
		require.Empty(t, h.lastRequest().Header["Range"])
		require.Empty(t, h.lastRequest().Header["If-Range"])
		require.Equal(t, body, h.get("/").body)
		require.Equal(t, 1, h.requests())
	})
}

// contextStorage is a Storage that checks its contexts.
type contextStorage struct{ cirque.Storage }

func (s contextStorage) Lookup(ctx context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	return s.Storage.Lookup(ctx, key)
}

// A 304 freshens the variant that it names, although the client of the request has left.
func TestValidationOutlivesItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, middleware.Config{Storage: contextStorage{memcache.New(memcache.Config{})}})
		var asked []string
		door := cache.Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.Header.Get("X-V"))
			time.Sleep(time.Second)
			w := httptest.NewRecorder()
			w.Header().Set("Vary", "X-V")
			w.Header().Set("Etag", `"e"`)
			w.Header().Set("Cache-Control", "max-age=60")
			if r.Header.Get("If-None-Match") == `"e"` {
				w.WriteHeader(http.StatusNotModified)
			} else {
				io.WriteString(w, "body")
			}
			return w.Result(), nil
		}))
		get := func(ctx context.Context, v string) error {
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://example.com/", nil)
			r.Header.Set("X-V", v)
			response, err := door.RoundTrip(r)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, response.Body)
			require.NoError(t, response.Body.Close())
			return err
		}
		require.NoError(t, get(t.Context(), "1"))
		time.Sleep(time.Minute) // The variant "1" is stale now.
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, get(ctx, "2"), context.DeadlineExceeded)
		require.NoError(t, cache.Wait(t.Context()))
		require.NoError(t, get(t.Context(), "1"))
		require.Equal(t, []string{"1", "2"}, asked, "each variant must be fetched once, as \"1\" is fresh again")
	})
}

// A client's directives or credentials may keep its answer out of the cache. The entry stays for
// the others.
func TestUnstoredValidationLeavesTheEntry(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Etag", `"e"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, "x")
	}
	for _, header := range [][]string{
		{"Cache-Control", "no-cache, no-store"},
		{"Cache-Control", "no-cache", "Authorization", "Basic eDp5"},
	} {
		eachBubble(t, middleware.Config{}, origin, func(t *testing.T, b *bubble) {
			b.get("/")
			require.NoError(t, b.cache.Wait(t.Context()))
			require.Equal(t, "x", b.get("/", header...).body)
			require.Contains(t, b.get("/").status(), "; hit")
		})
	}
}

// Requests whose validation may not be stored, because of their credentials, are validated together
// and not one after the other.
func TestUnstoredValidationsRunTogether(t *testing.T) {
	for _, update := range []string{"max-age=10", "private"} {
		origin := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"e"`)
			w.Header().Set("Cache-Control", "max-age=10")
			if r.Header.Get("If-None-Match") != "" {
				time.Sleep(time.Second)
				w.Header().Set("Cache-Control", update)
				w.WriteHeader(http.StatusNotModified)
				return
			}
			io.WriteString(w, "public")
		}
		eachBubble(t, middleware.Config{}, origin, func(t *testing.T, b *bubble) {
			b.get("/")
			require.NoError(t, b.cache.Wait(t.Context()))
			time.Sleep(11 * time.Second)
			began := time.Now()
			bodies, _ := b.crowd("/", func(n int) []string { return []string{"Authorization", fmt.Sprint(n)} })
			for _, body := range bodies {
				require.Equal(t, "public", body)
			}
			require.LessOrEqual(t, time.Since(began), 2*time.Second)
			synctest.Wait()
		})
	}
}

// A client's own no-store does not keep other clients with credentials from sharing one answer.
func TestNoStoreOfOneClientDoesNotAffectOthers(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Second)
		w.Header().Set("Cache-Control", "public, max-age=10")
		io.WriteString(w, "page")
	}
	for _, path := range []string{"/", "/stored"} {
		asked := 0
		eachBubble(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) { asked++; origin(w, r) }, func(t *testing.T, b *bubble) {
			if path == "/stored" {
				b.get(path)
				time.Sleep(time.Minute) // stale by now
			}
			require.Equal(t, "page", b.get(path, "Authorization", "x", "Cache-Control", "no-store").body)
			asked = 0
			b.crowd(path, func(int) []string { return []string{"Authorization", "y"} })
			require.Equal(t, 1, asked)
		})
	}
}

// A 304 freshens the entry for good: the next request is a hit, with the new fields.
func TestNotModifiedFreshensTheEntry(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"e"`)
		w.Header().Set("Cache-Control", "max-age=60")
		if r.Header.Get("If-None-Match") == `"e"` {
			w.Header().Set("X-Version", "2")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		aged(w, 100*time.Second)
		w.Header().Set("X-Version", "1")
		io.WriteString(w, "body")
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		h.get("/")
		second, third := h.get("/"), h.get("/")
		require.Contains(t, second.status(), "fwd=stale; fwd-status=304")
		require.Contains(t, third.status(), "; hit")
		for _, r := range []reply{second, third} {
			require.Equal(t, "body", r.body)
			require.Equal(t, "2", r.Header.Get("X-Version"))
		}
		require.Equal(t, 2, h.requests())
	})
}
