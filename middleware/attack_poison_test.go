package middleware_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/faulty"
	"github.com/cirquecache/cirque/middleware"
)

// Attacks that make the cache store or believe what it must not.

// An error is not stored if the request provoked it, whatever freshness the error claims (CPDoS).
func TestAttackProvokedErrorIsNotStored(t *testing.T) {
	big := strings.Repeat("o", 9<<10)
	attacks := map[string]http.Header{
		"oversize":                               {"X-Oversize": {big}},
		"oversize in three fields":               {"X-A": {big[:3<<10]}, "X-B": {big[:3<<10]}, "X-C": {big[:3<<10]}},
		"control character":                      {"X-Control": {"a\x01b"}},
		"method override X-Http-Method-Override": {"X-Http-Method-Override": {"DELETE"}},
		"method override X-Http-Method":          {"X-Http-Method": {"DELETE"}},
		"method override X-Method-Override":      {"X-Method-Override": {"DELETE"}},
	}
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		for name := range r.Header {
			if strings.HasPrefix(name, "X-") {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
		}
		io.WriteString(w, "page")
	}
	for name, header := range attacks {
		t.Run(name, func(t *testing.T) {
			eachBareDoor(t, origin, func(t *testing.T, ask func(http.Header) reply) {
				require.Equal(t, http.StatusBadRequest, ask(header).StatusCode)
				require.Equal(t, "page", ask(nil).body)
				require.Contains(t, ask(nil).status(), "; hit")
			})
		})
	}
	t.Run("a field removed by Connection", func(t *testing.T) {
		behindTLS := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=60")
			if r.Header.Get("X-Forwarded-Proto") != "https" {
				w.Header().Set("Location", "https://example.test/page")
				w.WriteHeader(http.StatusMovedPermanently)
				return
			}
			io.WriteString(w, "page")
		}
		proto := http.Header{"X-Forwarded-Proto": {"https"}} // set by the proxy in front
		attack := http.Header{"X-Forwarded-Proto": {"https"}, "Connection": {"close, x-forwarded-proto"}}
		eachBareDoor(t, behindTLS, func(t *testing.T, ask func(http.Header) reply) {
			require.Equal(t, http.StatusMovedPermanently, ask(attack).StatusCode)
			require.Equal(t, "page", ask(proto).body)
			require.Contains(t, ask(proto).status(), "; hit")
		})
	})
	t.Run("an error that nobody provoked is stored", func(t *testing.T) {
		missing := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.WriteHeader(http.StatusNotFound)
		}
		eachBareDoor(t, missing, func(t *testing.T, ask func(http.Header) reply) {
			ask(http.Header{"X-Small": {"1"}})
			require.Contains(t, ask(nil).status(), "; hit")
		})
	})
}

// eachBareDoor runs test against both doors without a server and a client, which would refuse some
// of these requests.
func eachBareDoor(t *testing.T, origin http.HandlerFunc, test func(t *testing.T, ask func(http.Header) reply)) {
	ask := func(t *testing.T, door http.RoundTripper) func(http.Header) reply {
		return func(header http.Header) reply {
			r, err := http.NewRequest("GET", "http://example.test/page", nil)
			require.NoError(t, err)
			if header != nil {
				r.Header = header.Clone()
			}
			return roundTrip(t, door, r)
		}
	}
	recorded := func(handler http.Handler) http.RoundTripper {
		return answering(func(r *http.Request) *http.Response {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			return w.Result()
		})
	}
	for _, door := range []string{"handler", "transport"} {
		t.Run(door, func(t *testing.T) {
			cache := newCache(t, middleware.Config{})
			if door == "handler" {
				test(t, ask(t, recorded(cache.Handler(origin))))
			} else {
				test(t, ask(t, cache.Transport(recorded(origin))))
			}
			require.NoError(t, cache.Close(t.Context()))
		})
	}
}

// A handler may set a lifetime for its page and then fail. The error is not stored for that
// lifetime unless StoreServerErrors is set.
func TestServerErrorIsNotStoredForTheLifetimeOfThePage(t *testing.T) {
	var broken atomic.Bool
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60, s-maxage=60")
		if broken.Load() {
			http.Error(w, "no database", http.StatusInternalServerError)
			return
		}
		io.WriteString(w, "page")
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		broken.Store(true)
		failed := h.get("/")
		require.Equal(t, http.StatusInternalServerError, failed.StatusCode)
		require.NotContains(t, failed.status(), "stored")
		broken.Store(false)
		require.Equal(t, "page", h.get("/").body)
		require.Contains(t, h.get("/").status(), "; hit")
	})
	eachDoor(t, middleware.Config{StoreServerErrors: true}, origin, func(t *testing.T, h *harness) {
		broken.Store(true)
		h.get("/")
		broken.Store(false)
		require.Equal(t, http.StatusInternalServerError, h.get("/").StatusCode)
	})
}

// An origin that follows a method override answers another method. Its empty answer must not be
// stored for everybody.
func TestAttackMethodOverrideIsNotStoredForOthers(t *testing.T) {
	for _, field := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		t.Run(field, func(t *testing.T) {
			origin := func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				if r.Header.Get(field) != "HEAD" {
					io.WriteString(w, "page")
				}
			}
			eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
				for range 2 {
					require.Empty(t, h.get("/", field, "HEAD").body)
				}
				require.Equal(t, "page", h.get("/").body)
				require.Contains(t, h.get("/").status(), "; hit")
				require.Empty(t, h.get("/", field, "HEAD").body, "a request with a method override must not get a stored answer")
			})
		})
	}
}

// A request with credentials, or with no-store, does not make the key uncacheable for others.
func TestAttackOneClientCannotMakeAKeyUncacheable(t *testing.T) {
	for name, field := range map[string][]string{
		"authorization": {"Authorization", "Bearer mallory"},
		"no-store":      {"Cache-Control", "no-store"},
		"override":      {"X-Http-Method-Override", "DELETE"},
	} {
		t.Run(name, func(t *testing.T) {
			var hold chan struct{}
			origin := func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get(field[0]) != "" {
					w.Header().Set("Cache-Control", "max-age=60")
					if name == "override" {
						w.WriteHeader(http.StatusMethodNotAllowed)
					}
					return
				}
				<-hold
				fresh("page")(w, r)
			}
			eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
				var release func()
				hold, release = gate(t)
				for range 3 {
					h.get("/", field...)
				}
				attacks := h.requests()
				var done sync.WaitGroup
				var served atomic.Int32
				for range 20 {
					done.Go(func() {
						if h.get("/").body == "page" {
							served.Add(1)
						}
					})
				}
				// If the key were predicted uncacheable, the others would not wait for the first.
				eventually(t, func() bool { return h.requests() > attacks }, "the first client reaches the origin")
				time.Sleep(20 * time.Millisecond)
				release()
				done.Wait()
				require.EqualValues(t, 20, served.Load())
				require.Equal(t, attacks+1, h.requests())
			})
		})
	}
}

// A client's conditions never go to the origin with a fill. A response without freshness gets no
// heuristic freshness where the RFC allows none (CVE-2025-49826).
func TestAttackConditionsAndOddStatusesDoNotPoison(t *testing.T) {
	t.Run("conditions", func(t *testing.T) {
		origin := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Etag", `"e"`)
			w.Header().Set("Last-Modified", "Tue, 15 Nov 2022 12:45:26 GMT")
			http.ServeContent(w, r, "page.txt", time.Date(2022, 11, 15, 12, 45, 26, 0, time.UTC), strings.NewReader("page"))
		}
		for _, condition := range [][]string{
			{"If-None-Match", `"e"`}, {"If-None-Match", "*"}, {"If-Modified-Since", "Tue, 15 Nov 2022 12:45:26 GMT"},
			{"Range", "bytes=1-1"}, {"Range", "bytes=9-"}, {"If-Match", `"other"`}, {"If-Unmodified-Since", "Tue, 15 Nov 2021 12:45:26 GMT"},
		} {
			t.Run(condition[0], func(t *testing.T) {
				eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
					h.get("/", condition...)
					if !strings.HasPrefix(condition[0], "If-Match") && !strings.HasPrefix(condition[0], "If-Un") {
						// A cache does not evaluate If-Match and If-Unmodified-Since: they pass.
						require.Empty(t, h.lastRequest().Header[condition[0]])
					}
					got := h.get("/")
					require.Equal(t, http.StatusOK, got.StatusCode)
					require.Equal(t, "page", got.body)
				})
			})
		}
	})
	t.Run("statuses without heuristic freshness", func(t *testing.T) {
		var calls atomic.Int32
		origin := func(w http.ResponseWriter, r *http.Request) {
			var status int
			fmt.Sscanf(r.URL.Path, "/%d", &status)
			w.Header().Set("Last-Modified", "Tue, 15 Nov 2022 12:45:26 GMT")
			w.Header().Set("X-Call", fmt.Sprint(calls.Add(1)))
			w.WriteHeader(status)
		}
		eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
			for _, status := range []int{201, 202, 205, 207, 226, 302, 303, 307, 400, 401, 403, 406, 409, 412, 413, 416, 418, 429, 431, 451, 500, 502, 503, 504, 599} {
				path := fmt.Sprintf("/%d", status)
				first, second := h.get(path), h.get(path)
				require.Equal(t, status, second.StatusCode)
				require.NotEqual(t, first.Header.Get("X-Call"), second.Header.Get("X-Call"), "a response with status %d was reused", status)
			}
		})
	})
}

// A private page whose URL looks static is not stored unless the origin gives it freshness.
func TestAttackStaticLookingURLIsNotStoredByItsName(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "account of %s", r.Header.Get("Cookie"))
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		for _, path := range []string{"/account/x.css", "/account/x.js?v=1", "/account;x.png", "/account%2Fx.ico", "/account/..%2Fstatic/x.css"} {
			require.Equal(t, "account of alice", h.get(path, "Cookie", "alice").body)
			require.Equal(t, "account of mallory", h.get(path, "Cookie", "mallory").body)
		}
	})
}

// An answer to a request with credentials is reused for others only if the origin allows it (RFC
// 9111 §3.5).
func TestAttackAnswerToCredentialsIsSharedOnlyIfAllowed(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", strings.ReplaceAll(r.URL.Query().Get("cc"), "+", ", "))
		fmt.Fprintf(w, "for %s", r.Header.Get("Authorization"))
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		for cc, shared := range map[string]bool{
			"max-age=60": false, "max-age=60%2Bproxy-revalidate": false, "max-age=60%2Bno-cache": false, "private%2Bmax-age=60": false,
			"max-age=60%2Bpublic": true, "s-maxage=60": true, "max-age=60%2Bmust-revalidate": true,
		} {
			path := "/?cc=" + cc
			require.Equal(t, "for alice", h.get(path, "Authorization", "alice").body)
			for _, mallory := range [][]string{{"Authorization", "mallory"}, nil} {
				require.Equal(t, shared, h.get(path, mallory...).body == "for alice", "%s %v", cc, mallory)
			}
		}
	})
}

// A 304 may bring fields that the stored response never had. They do not change which requests it
// matches, its length, or its cookies (nodejs/undici#5732).
func TestAttackNotModifiedCannotChangeTheStoredResponse(t *testing.T) {
	for name, field := range map[string][]string{
		"vary":           {"Vary", "X-Odd"},
		"vary star":      {"Vary", "*"},
		"content-length": {"Content-Length", "2"},
		"set-cookie":     {"Set-Cookie", "session=mallory"},
		"encoding":       {"Content-Encoding", "gzip"},
		"range":          {"Content-Range", "bytes 0-1/4"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, door := range []string{"handler", "transport"} {
				t.Run(door, func(t *testing.T) {
					h, _ := newFaultyHarness(t, door, middleware.Config{}, func(r *http.Request) faulty.Answer {
						if r.Header.Get("If-None-Match") != "" && r.Header.Get("X-Odd") == "" {
							odd := http.Header{"Etag": {`"e"`}}
							odd.Set(field[0], field[1])
							return faulty.Answer{Status: http.StatusNotModified, Header: odd}
						}
						return faulty.Answer{
							Header: http.Header{"Etag": {`"e"`}, "Cache-Control": {"max-age=60"}, "Age": {"100"}},
							Body:   "page for " + r.Header.Get("X-Odd"),
						}
					})
					h.get("/")
					// Fresh now, if the odd 304 made it so.
					require.Contains(t, h.get("/").status(), "fwd-status=304")
					if field[0] == "Vary" {
						require.Equal(t, "page for 1", h.get("/", "X-Odd", "1").body)
						return
					}
					for range 2 {
						got := h.get("/")
						require.NoError(t, got.err)
						require.Equal(t, "page for ", got.body)
						for _, name := range []string{"Set-Cookie", "Content-Encoding", "Content-Range"} {
							if strings.Contains(got.status(), "; hit") {
								require.Empty(t, got.Header.Get(name))
							}
						}
					}
				})
			}
		})
	}
}

// Storage bytes that were changed to split the response's header are rejected.
func TestAttackResponseSplittingIsRejected(t *testing.T) {
	t.Run("a stored record", func(t *testing.T) {
		now := time.Now()
		meta := cirque.NewCacheMeta(200, http.Header{"X-Field": {"value..X-Injected: 1"}}, now, now.Add(time.Hour), 0, 0)
		record, err := meta.AppendBinary(nil)
		require.NoError(t, err)
		var read cirque.CacheMeta
		require.NoError(t, read.UnmarshalBinary(record))
		tampers := map[string]string{
			"..":      "\r\n",
			"value":   "\nalue",
			"..X-Inj": "..\x00-Inj",
			"X-Field": "X-Fi: d",
			"X-Fiel":  "X\r\nY: ",
		}
		for old, tampered := range tampers {
			damaged := []byte(strings.Replace(string(record), old, tampered, 1))
			require.ErrorIs(t, read.UnmarshalBinary(damaged), cirque.ErrBadMeta)
			// An attacker who can write to the storage can compute the checksum too.
			binary.LittleEndian.PutUint64(damaged[2:], xxhash.Sum64(damaged[10:]))
			require.ErrorIs(t, read.UnmarshalBinary(damaged), cirque.ErrBadMeta, "%q", tampered)
		}
		intact := append([]byte(nil), record...)
		binary.LittleEndian.PutUint64(intact[2:], xxhash.Sum64(intact[10:]))
		require.NoError(t, read.UnmarshalBinary(intact), "this test must compute the checksum as CacheMeta does")
	})
	t.Run("a response", func(t *testing.T) {
		split := func(w http.ResponseWriter, r *http.Request) {
			w.Header()["X-Field"] = []string{"value\r\nSet-Cookie: session=mallory"}
			fresh("page")(w, r)
		}
		eachBareDoor(t, split, func(t *testing.T, ask func(http.Header) reply) {
			ask(nil)
			require.NotContains(t, ask(nil).status(), "hit")
		})
	})
}
