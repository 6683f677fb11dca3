package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/rules"
)

// cookieOrigin is an origin that counts its answers in a cookie. A body takes it a second. granted
// is its Cache-Control.
type cookieOrigin struct {
	asked   atomic.Int32
	granted string
	in304   bool // a 304 repeats Cache-Control
}

func (c *cookieOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Set-Cookie", fmt.Sprint("n=", c.asked.Add(1)))
	h.Set("Set-Cookie2", "obsolete")
	h.Set("Etag", `"e"`)
	h.Set("Content-Location", r.URL.Path)
	if strings.Contains(r.Header.Get("If-None-Match"), `"e"`) {
		if c.in304 {
			h.Set("Cache-Control", c.granted)
		}
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Cache-Control", c.granted)
	if r.Header.Get("Range") != "" {
		http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader("0123456789"))
		return
	}
	h.Set("Content-Length", "10")
	if r.Method == http.MethodHead {
		return
	}
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	time.Sleep(time.Second)
	io.WriteString(w, "0123456789")
}

// setCookieConfigs are configurations that must not replay a cookie.
var setCookieConfigs = map[string]middleware.Config{
	"shared":       {},
	"private":      {Private: true},
	"of one user":  {Private: true, SingleUser: true},
	"with ranges":  {Ranges: middleware.RangesForward},
	"HEAD fetches": {HeadAsGet: true},
}

// A cookie goes to the client whose request the origin answered with it, and never to a client that
// is answered from the cache.
func TestSetCookieReachesItsClientOnly(t *testing.T) {
	for name, cfg := range setCookieConfigs {
		t.Run(name, func(t *testing.T) {
			eachMemoryStorage(t, func(t *testing.T, streams bool, storage func() cirque.Storage) {
				for _, in304 := range []bool{true, false} {
					origin := &cookieOrigin{granted: "max-age=10", in304: in304}
					eachBubbleOver(t, cfg, storage, origin.ServeHTTP, func(t *testing.T, b *bubble) {
						origin.asked.Store(0)
						got := make(chan string, 5)
						for range cap(got) {
							go func() { got <- b.get("/").setCookies() }()
							synctest.Wait() // The first request fetches, the others read along.
						}
						cookies := 0
						for range cap(got) {
							if cookie := <-got; cookie != "" {
								require.Equal(t, "n=1", cookie)
								cookies++
							}
						}
						require.Equal(t, 1, cookies)
						require.NoError(t, b.cache.Wait(t.Context()))
						hit := func() {
							t.Helper()
							for _, header := range [][]string{nil, {"If-None-Match", `"e"`}, {"Range", "bytes=1-2"}} {
								r := b.get("/", header...)
								require.Contains(t, r.status(), "; hit")
								require.Empty(t, r.setCookies())
								require.Empty(t, r.Header["Set-Cookie2"])
							}
						}
						hit()
						time.Sleep(10 * time.Second)
						r := b.get("/") // validated
						require.Equal(t, "n=2", r.setCookies())
						require.Equal(t, "0123456789", r.body)
						hit()
						time.Sleep(10 * time.Second)
						r = b.get("/", "If-None-Match", `"e"`)
						require.Equal(t, http.StatusNotModified, r.StatusCode)
						require.Equal(t, "n=3", r.setCookies(), "RFC 9110 §15.4.5")
						hit()
						time.Sleep(10 * time.Second)
						r = b.get("/", "Range", "bytes=3-4")
						require.Equal(t, "34", r.body)
						require.Equal(t, "n=4", r.setCookies())
						hit()
						// On a miss, the client's own answer may be a 304 or a 416.
						r = b.get("/a", "If-None-Match", `"e"`)
						require.Equal(t, http.StatusNotModified, r.StatusCode)
						require.Equal(t, "n=5", r.setCookies())
						require.NoError(t, b.cache.Wait(t.Context()))
						require.Empty(t, b.get("/a").setCookies())
						r = b.get("/b", "Range", "bytes=99-")
						require.Equal(t, http.StatusRequestedRangeNotSatisfiable, r.StatusCode)
						require.Equal(t, "n=6", r.setCookies())
						require.NoError(t, b.cache.Wait(t.Context()))
						require.Equal(t, int32(6), origin.asked.Load())
					})
				}
			})
		})
	}
}

func TestSetCookieOfABackgroundRevalidationReachesNobody(t *testing.T) {
	for name, cfg := range setCookieConfigs {
		t.Run(name, func(t *testing.T) {
			origin := &cookieOrigin{granted: "max-age=10, stale-while-revalidate=60", in304: true}
			eachBubble(t, cfg, origin.ServeHTTP, func(t *testing.T, b *bubble) {
				origin.asked.Store(0)
				require.Equal(t, "n=1", b.get("/").setCookies())
				time.Sleep(20 * time.Second)
				for range 2 {
					require.Empty(t, b.get("/").setCookies())
					require.NoError(t, b.cache.Wait(t.Context()))
				}
				require.Equal(t, int32(2), origin.asked.Load(), "the origin must be asked once in the background")
			})
		})
	}
}

// The answer to a POST that is stored for GETs, and the answer to a HEAD that freshens, bring
// cookies too.
func TestSetCookieOfPostAndHeadReachesItsClientOnly(t *testing.T) {
	ask := func(b *bubble, method string) reply {
		response, err := b.ask(b.t.Context(), method, "/", "Cache-Control", "max-age=0")
		require.NoError(b.t, err)
		return readReply(response)
	}
	for name, cfg := range setCookieConfigs {
		t.Run(name, func(t *testing.T) {
			origin := &cookieOrigin{granted: "max-age=10"}
			eachBubble(t, cfg, origin.ServeHTTP, func(t *testing.T, b *bubble) {
				origin.asked.Store(0)
				for n, method := range []string{http.MethodPost, http.MethodHead, http.MethodPost} {
					require.Equal(t, fmt.Sprint("n=", n+1), ask(b, method).setCookies(), method)
					require.NoError(t, b.cache.Wait(t.Context()))
					r := b.get("/")
					require.Contains(t, r.status(), "; hit")
					require.Empty(t, r.setCookies(), method)
				}
			})
		})
	}
}

// Parts are assembled without cookies.
func TestSetCookieOfAPartReachesItsClientOnly(t *testing.T) {
	origin := &cookieOrigin{granted: "max-age=10"}
	eachBubble(t, middleware.Config{Ranges: middleware.RangesForward}, origin.ServeHTTP, func(t *testing.T, b *bubble) {
		origin.asked.Store(0)
		for n, part := range []string{"0-1", "2-5", "6-9"} {
			r := b.get("/", "Range", "bytes="+part)
			require.Equal(t, http.StatusPartialContent, r.StatusCode)
			require.Equal(t, fmt.Sprint("n=", n+1), r.setCookies())
			require.NoError(t, b.cache.Wait(t.Context()))
			again := b.get("/", "Range", "bytes="+part)
			require.Contains(t, again.status(), "; hit")
			require.Equal(t, r.body, again.body)
			require.Empty(t, again.setCookies())
		}
		require.Empty(t, b.get("/").setCookies())
		require.Equal(t, int32(3), origin.asked.Load())
	})
}

// A trailer reaches all readers of a fill, so its cookies are dropped. They do not belong there
// anyway (RFC 9110 §6.5.1).
func TestSetCookieInATrailerIsDropped(t *testing.T) {
	hold := make(chan struct{})
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Trailer", "X-Sum, Set-Cookie")
		io.WriteString(w, "first ")
		w.(http.Flusher).Flush()
		<-hold
		io.WriteString(w, "last")
		w.Header().Set("X-Sum", "1")
		w.Header().Set("Set-Cookie", "n=1")
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		hold = make(chan struct{})
		read := make(chan reply)
		for range 2 {
			response, err := h.client.Get(h.front.URL + "/")
			require.NoError(t, err)
			go func() {
				read <- readReply(response)
			}()
		}
		close(hold)
		for range 2 {
			r := <-read
			require.Equal(t, "first last", r.body)
			require.Equal(t, "1", r.Trailer.Get("X-Sum"))
			require.Empty(t, r.Trailer["Set-Cookie"])
		}
		require.Equal(t, 1, h.requests())
	})
}

func TestSetCookieIsKeptOrRefusedAsConfigured(t *testing.T) {
	for _, private := range []bool{false, true} {
		origin := &cookieOrigin{granted: "max-age=10", in304: true}
		keep := middleware.Config{Private: private, SetCookie: rules.SetCookieKeep}
		eachBubble(t, keep, origin.ServeHTTP, func(t *testing.T, b *bubble) {
			origin.asked.Store(0)
			for range 2 {
				require.Equal(t, "n=1", b.get("/").setCookies())
			}
			time.Sleep(10 * time.Second)
			for range 2 {
				require.Equal(t, "n=2", b.get("/").setCookies())
			}
		})
		refuse := middleware.Config{Private: private, SetCookie: rules.SetCookieRefuse}
		eachBubble(t, refuse, origin.ServeHTTP, func(t *testing.T, b *bubble) {
			origin.asked.Store(0)
			for n := range 3 {
				r := b.get("/")
				require.Equal(t, fmt.Sprint("n=", n+1), r.setCookies())
				require.NotContains(t, r.status(), "stored")
				require.Contains(t, r.status(), "detail=set-cookie")
			}
		})
	}
	_, err := middleware.New(middleware.Config{SetCookie: 3})
	require.ErrorContains(t, err, "unknown SetCookie(3)")
}

// A page that is validated before each use stays stored, with its validators, although validations
// bring cookies for new clients. A new client does not make the cache fetch the whole page.
func TestSetCookieInAValidationDoesNotEndTheEntry(t *testing.T) {
	for _, cc := range []string{"no-cache", "max-age=0, must-revalidate", "s-maxage=0", ""} {
		t.Run(cc, func(t *testing.T) {
			eachMemoryStorage(t, func(t *testing.T, _ bool, storage func() cirque.Storage) {
				var whole, validated atomic.Int32
				origin := func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(time.Second)
					h := w.Header()
					if cc != "" {
						h.Set("Cache-Control", cc)
					}
					h.Set("Etag", `"e"`)
					if strings.Contains(r.Header.Get("If-None-Match"), `"e"`) || r.Method == http.MethodHead {
						validated.Add(1)
						if r.Header.Get("Cookie") == "" {
							h.Set("Set-Cookie", "new=1")
							h.Set("X-For", "new")
						}
						if r.Method != http.MethodHead {
							w.WriteHeader(http.StatusNotModified)
						}
						return
					}
					whole.Add(1)
					io.WriteString(w, "page")
				}
				eachBubbleOver(t, middleware.Config{}, storage, origin, func(t *testing.T, b *bubble) {
					b.get("/", "Cookie", "old=1")
					require.NoError(t, b.cache.Wait(t.Context()))
					whole.Store(0)
					validated.Store(0)
					for n, forgotten := range []bool{false, true, false, true} {
						if forgotten {
							time.Sleep(time.Hour)
						}
						r := make(chan reply, 1)
						go func() { r <- b.get("/") }() // the first request
						synctest.Wait()
						bodies, _ := b.crowd("/", func(int) []string { return []string{"Cookie", "old=1"} })
						first := <-r
						require.Equal(t, "new=1", first.setCookies())
						require.Equal(t, "new", first.Header.Get("X-For"))
						require.Equal(t, "page", first.body)
						for _, body := range bodies {
							require.Equal(t, "page", body)
						}
						response, err := b.ask(t.Context(), http.MethodHead, "/")
						require.NoError(t, err)
						response.Body.Close()
						require.Equal(t, "new=1", response.Header.Get("Set-Cookie"))
						next := b.get("/", "Cookie", "old=1")
						require.Empty(t, next.setCookies())
						require.Empty(t, next.Header.Get("X-For"))
						require.Zero(t, whole.Load(), n)
						require.EqualValues(t, (n+1)*23, validated.Load())
					}
				})
			})
		})
	}
}
