package middleware_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
)

func TestLanguageClassPicksTheBestOfferedLanguage(t *testing.T) {
	class := middleware.LanguageClass("en", "de", "pt-BR")
	for line, want := range map[string]string{
		"":                              "en",
		"de":                            "de",
		"DE-ch":                         "en", // a range that is longer than the language does not match it
		"de-CH, de;q=0.9, en;q=0.8":     "de",
		"pt":                            "pt-BR",
		"fr":                            "en",
		"fr, *;q=0.5":                   "en",
		"en;q=0.1, *;q=0.5":             "de",
		"en;q=0, de;q=0":                "en", // none is acceptable; the origin may say so
		"de, en":                        "en", // of equal weight
		`x"><script>`:                   "en",
		"de, x;y":                       "en",
		"de" + strings.Repeat(",x", 99): "en",
	} {
		require.Equal(t, want, class([]string{line}), line)
	}
	require.Equal(t, "en", class(nil))
	require.Equal(t, "de", class([]string{"fr", "de"}))
	require.Panics(t, func() { middleware.LanguageClass() })
}

func TestEncodingClassPicksTheBestOfferedCoding(t *testing.T) {
	class := middleware.EncodingClass("br", "gzip")
	for line, want := range map[string]string{
		"":                        "identity",
		"gzip, deflate, br, zstd": "br",
		"gzip, deflate":           "gzip",
		"GZIP;q=0.5, br;q=0.4":    "gzip",
		"*":                       "br",
		"br;q=0, *;q=0.1":         "gzip",
		"deflate":                 "identity",
		"gzip;q=x":                "identity",
	} {
		require.Equal(t, want, class([]string{line}), line)
	}
	require.Equal(t, "identity", class(nil))
}

// The raw value of a normalised field reaches neither the variants nor the origin.
func TestNormalizeReplacesTheFieldForVariantsAndOrigin(t *testing.T) {
	cfg := middleware.Config{Normalize: map[string]func([]string) string{
		"accept-language": middleware.LanguageClass("en", "de"),
		"X-Device":        func(lines []string) string { return strings.ToLower(strings.Join(lines, "")) },
	}}
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Language, X-Device")
		fmt.Fprint(w, r.Header["Accept-Language"], r.Header["X-Device"])
	}
	eachDoor(t, cfg, origin, func(t *testing.T, h *harness) {
		for _, step := range []struct {
			header []string
			want   string
			asked  int
		}{
			{[]string{"Accept-Language", "de-CH, de;q=0.5"}, "[de] []", 1},
			{[]string{"Accept-Language", "de, fr"}, "[de] []", 1},
			{[]string{"Accept-Language", `x"><script>`}, "[en] []", 2},
			{nil, "[en] []", 2},
			{[]string{"X-Device", "PHONE"}, "[en] [phone]", 3},
			{[]string{"X-Device", "phone"}, "[en] [phone]", 3},
			{[]string{"X-Device", ""}, "[en] []", 3},
		} {
			require.Equal(t, step.want, h.get("/", step.header...).body, "%q", step.header)
			require.Equal(t, step.asked, h.requests(), "%q", step.header)
		}
	})
}

// device is a rule that does not map its own results to themselves.
func device(lines []string) string {
	if strings.Contains(strings.Join(lines, " "), "Phone") {
		return "small"
	}
	return "large"
}

// A request of the cache's own carries what the client sent, so that the rules apply to it once, as
// to the client's request.
func TestNormalizeAppliesOnceToRequestsOfTheCache(t *testing.T) {
	cfg := middleware.Config{Normalize: map[string]func([]string) string{
		"User-Agent": device,
		"Cookie":     func([]string) string { return "" },
	}}
	var asked atomic.Int32
	page := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "User-Agent")
		fmt.Fprint(w, r.Header["User-Agent"], r.Header["Cookie"])
	}
	t.Run("second fetch", func(t *testing.T) {
		eachDoor(t, cfg, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			w.Header().Set("Etag", `"a"`)
			if r.Header.Get("If-None-Match") != "" {
				w.Header().Set("Etag", `"b"`) // not the tag that was sent
				w.WriteHeader(http.StatusNotModified)
				return
			}
			page(w, r)
		}, func(t *testing.T, h *harness) {
			for range 3 {
				require.Equal(t, "[small] []", h.get("/", "User-Agent", "Phone", "Cookie", "a=b").body)
			}
		})
	})
	t.Run("in the background", func(t *testing.T) {
		eachDoor(t, cfg, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60, stale-while-revalidate=3600")
			if asked.Add(1) == 1 {
				w.Header().Set("Age", "100")
			}
			page(w, r)
		}, func(t *testing.T, h *harness) {
			asked.Store(0)
			var cookies atomic.Int32
			if h.door == "handler" {
				inner := h.front.Config.Handler
				h.front.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Cookie") == "a=b" {
						cookies.Add(1)
					}
					inner.ServeHTTP(w, r)
				})
			}
			var last reply
			for range 3 {
				last = h.get("/", "User-Agent", "Phone", "Cookie", "a=b")
				require.Equal(t, "[small] []", last.body)
				require.NoError(t, h.cache.Wait(t.Context()))
			}
			require.Equal(t, int32(2), asked.Load(), "the entry must be fresh after one revalidation")
			require.NotContains(t, last.status(), "stale-while-revalidate")
			if h.door == "handler" {
				require.Equal(t, int32(4), cookies.Load(), "handlers around the cache must see the client's own cookies")
			}
		})
	})
}

// A POST that Config.RequestFilter excludes keeps its fields, and its answer is not stored.
func TestFilteredPostKeepsItsFieldsAndIsNotStored(t *testing.T) {
	cfg := middleware.Config{
		Normalize:     map[string]func([]string) string{"Cookie": func([]string) string { return "" }},
		RequestFilter: func(r *http.Request) bool { return r.URL.Path != "/account" },
	}
	eachDoor(t, cfg, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Location", r.URL.Path)
		fmt.Fprint(w, r.Header["Cookie"])
	}, func(t *testing.T, h *harness) {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodGet} {
			r := h.do(method, "/account", "Cookie", "a=b")
			require.Equal(t, "[a=b]", r.body, method)
			require.NotContains(t, r.status(), "stored")
		}
		require.Contains(t, h.do(http.MethodPost, "/page", "Cookie", "a=b").status(), "stored")
	})
}

// A purge uses the same normalised values as the requests whose entries it must find.
func TestPurgeFindsNormalizedEntries(t *testing.T) {
	cfg := middleware.Config{
		Private:        true,
		AuthorizePurge: always,
		Normalize: map[string]func([]string) string{"Accept-Language": middleware.LanguageClass("en"), "Cookie": func(lines []string) string {
			session, _, _ := strings.Cut(strings.Join(lines, "; "), ";")
			return session
		}},
	}
	h := newHarness(t, "handler", cfg, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, r.Header["Cookie"])
	})
	h.get("/", "Cookie", "s=1; track=1")
	require.Contains(t, h.get("/", "Cookie", "s=1; track=2").status(), "; hit")
	asked := h.requestFor("/")
	asked.Header.Set("Cookie", "s=1; track=3")
	found, ok := h.cache.HandlerKey(asked)
	require.True(t, ok)
	asked.Header.Set("Cookie", "s=1")
	want, _ := h.cache.HandlerKey(asked)
	require.Equal(t, want.String(), found.String())
	asked.Header = nil
	require.ErrorIs(t, h.cache.Purge(t.Context(), asked), cirque.ErrNotFound, "no entry belongs to a request without a cookie")
	require.Equal(t, http.StatusOK, h.do("PURGE", "/", "Cookie", "s=1; track=4").StatusCode)
	require.NotContains(t, h.get("/", "Cookie", "s=1; track=2").status(), "; hit")
}

// A response that varies on a language answers only requests with the same field value, whatever
// its Content-Language: the origin may use any part of the value (RFC 9111 §4.1).
func TestVaryMatchesOnlyEqualFieldValues(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Language, Accept-Encoding, X-Any")
		w.Header().Set("Content-Language", "en")
		fmt.Fprintf(w, "%q", [][]string{r.Header["Accept-Language"], r.Header["Accept-Encoding"], r.Header["X-Any"]})
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		for _, name := range []string{"Accept-Language", "Accept-Encoding", "X-Any"} {
			for i, value := range []string{`en, x"><script>`, "en", "en;q=0.8, de;q=0.3", "de, en", "en, de", "EN, de", "en,de", "en;q=0.80,de;q=0.3", "en, de;q=0"} {
				for range 2 {
					require.Contains(t, h.get("/"+name, name, value).body, fmt.Sprintf("%q", []string{value}))
				}
				require.Equal(t, "/"+name, h.lastRequest().URL.Path)
				require.Equal(t, value, h.lastRequest().Header.Get(name), "value %d must reach the origin once", i)
			}
			two := h.get("/"+name, name, "en", name, "de").body
			require.Contains(t, two, `["en" "de"]`, "an origin may read the first line only")
		}
		require.Equal(t, 3*10, h.requests())
	})
}

// BenchmarkLongAcceptLanguage shows that the time of a comparison grows with the length of the
// field and no faster.
func BenchmarkLongAcceptLanguage(b *testing.B) {
	long := strings.Repeat("de,", 100_000)
	class := middleware.LanguageClass("en", "de")
	b.ReportAllocs()
	for b.Loop() {
		class([]string{long})
	}
}

func TestNormalizeRefusesNilAndDoubleRules(t *testing.T) {
	_, err := middleware.New(middleware.Config{Normalize: map[string]func([]string) string{"Accept-Language": nil}})
	require.ErrorContains(t, err, "Normalize")
	_, err = middleware.New(middleware.Config{Normalize: map[string]func([]string) string{"X-Device": device, "x-device": device}})
	require.ErrorContains(t, err, `two rules for "X-Device" in Normalize`)
}
