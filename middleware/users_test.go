package middleware_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
)

// pausingWriter is a ResponseWriter that pauses before each write.
type pausingWriter struct {
	http.ResponseWriter
	pause func()
}

func (h pausingWriter) Write(p []byte) (int, error) {
	h.pause()
	return h.ResponseWriter.Write(p)
}

// Ten users ask at random for pages that are each user's own and must be validated before each use.
// There are ranges, conditions, reloads and HEAD, and the origin fails at times. No user gets a
// body, field or cookie of another.
func TestUsersNeverGetEachOthersPages(t *testing.T) {
	seeds := uint64(3)
	if longTests() {
		seeds = 150
	}
	pages := []string{
		"no-cache", "max-age=0, must-revalidate", "s-maxage=0", "", "no-cache, max-age=60", "private", "no-store",
		"max-age=60, no-cache=\"x\", must-revalidate, private", "public, max-age=0",
	}
	for seed := range seeds {
		for name, cfg := range map[string]middleware.Config{
			"default": {}, "ranges": {Ranges: middleware.RangesForward}, "HEAD as GET": {HeadAsGet: true},
		} {
			t.Run(fmt.Sprint(name, " ", seed), func(t *testing.T) {
				eachMemoryStorage(t, func(t *testing.T, _ bool, storage func() cirque.Storage) {
					var mu sync.Mutex
					random := rand.New(rand.NewPCG(seed, 0))
					roll := func(n int) int {
						mu.Lock()
						defer mu.Unlock()
						return random.IntN(n)
					}
					pause := func(most int) { time.Sleep(time.Duration(roll(most)) * time.Millisecond) }
					origin := func(w http.ResponseWriter, r *http.Request) {
						pause(300)
						user := r.Header.Get("Cookie") + r.Header.Get("Authorization")
						if cc := pages[r.URL.Path[1]-'a']; cc != "" {
							w.Header().Set("Cache-Control", cc)
						}
						if roll(20) == 0 {
							w.WriteHeader(http.StatusInternalServerError)
							return
						}
						w.Header().Set("Etag", fmt.Sprintf("%q", user))
						w.Header().Set("X-User", user)
						if roll(3) == 0 {
							w.Header().Set("Set-Cookie", user)
						}
						body := strings.NewReader(strings.Repeat(user+"\n", 100))
						http.ServeContent(pausingWriter{w, func() { pause(100) }}, r, "x.txt", time.Time{}, body)
					}
					eachBubbleOver(t, cfg, storage, origin, func(t *testing.T, b *bubble) {
						visit := func() {
							user := fmt.Sprintf("user%02d", roll(10))
							header := []string{[]string{"Cookie", "Authorization"}[roll(2)], user}
							switch roll(6) {
							case 0:
								header = append(header, "Range", "bytes=7-20")
							case 1:
								header = append(header, "If-None-Match", fmt.Sprintf("%q", user))
							case 2:
								header = append(header, "Cache-Control", "no-cache")
							}
							method := http.MethodGet
							if roll(5) == 0 {
								method = http.MethodHead
							}
							response, err := b.ask(t.Context(), method, "/"+string(rune('a'+roll(len(pages)))), header...)
							if err != nil {
								t.Error(err)
								return
							}
							defer response.Body.Close()
							body, err := io.ReadAll(response.Body)
							if err != nil {
								t.Error(err)
							}
							strangers := strings.ReplaceAll(string(body), user+"\n", "")
							for _, name := range []string{"X-User", "Set-Cookie"} {
								strangers += strings.ReplaceAll(response.Header.Get(name), user, "")
							}
							if strangers != "" {
								t.Errorf("%s %q got %q, which is another user's: %v", method, header, strangers, response.Header)
							}
						}
						var all sync.WaitGroup
						for range 30 {
							all.Go(func() {
								for range 10 {
									pause(1000)
									visit()
								}
							})
						}
						all.Wait()
						require.NoError(t, b.cache.Wait(t.Context()))
						time.Sleep(time.Minute) // uncacheable responses end too
					})
				})
			})
		}
	}
}
