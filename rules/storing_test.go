package rules

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// RFC 9111 §3: with explicit freshness any final status may be stored, even an unknown one. Server
// errors are stored only if the policy says so.
func TestStoreByStatus(t *testing.T) {
	for status := 0; status <= 1000; status++ {
		want, byDefault := "", ""
		switch {
		case status < 200 || status == 206 || status == 304 || status > 599:
			want, byDefault = "status", "status"
		case status >= 500:
			byDefault = "server-error"
		}
		for _, line := range []string{"Cache-Control: max-age=60", "Expires: " + at(time.Hour), "Cache-Control: public, s-maxage=60", "CDN-Cache-Control: max-age=60"} {
			require.Equal(t, want, detail(t, withErrors, get(line).withStatus(status)), status)
			require.Equal(t, byDefault, detail(t, shared, get(line).withStatus(status)), status)
		}
	}
}

// A server error is stored for at most the lifetime that Defaults gives its status.
func TestStoreServerErrorsForTheDefaultLifetime(t *testing.T) {
	p := &Policy{Defaults: CacheMetaDefaults{StaleWhileRevalidate: time.Minute, StaleIfError: time.Minute, FreshFor: func(status int) time.Duration {
		if status == 503 || status == 404 {
			return 10 * time.Second
		}
		return 0
	}}}
	for _, c := range []struct {
		status int
		line   string
		want   time.Duration // zero: it is not stored
	}{
		{503, "A: b", 10 * time.Second},
		{503, "Cache-Control: max-age=60", 10 * time.Second},
		{503, "Cache-Control: s-maxage=60", 10 * time.Second},
		{503, "Expires: " + at(time.Hour), 10 * time.Second},
		{503, "Cache-Control: max-age=5", 5 * time.Second},
		{503, "Cache-Control: max-age=60, stale-while-revalidate=60, stale-if-error=60", 10 * time.Second},
		{500, "Cache-Control: max-age=60", 0},
		{404, "Cache-Control: max-age=60", time.Minute},
		{499, "Cache-Control: max-age=60", time.Minute},
	} {
		x := get(c.line).withStatus(c.status)
		meta, refusal := p.Store(x)
		if c.want == 0 {
			require.Equal(t, &Refusal{Reason: cirque.OriginNotCache, Detail: "server-error", ByResponse: true}, refusal)
			continue
		}
		require.Nil(t, refusal, c)
		require.Equal(t, c.want, meta.FreshUntil().Sub(x.ResponseTime), c)
		over := meta.FreshUntil().Add(time.Second)
		require.Equal(t, c.status < 500, meta.ServeStaleWhileRevalidate(over), c)
		require.Equal(t, c.status < 500, meta.ServeStaleIfError(over), c)
	}
	_, refusal := p.Store(get("Cache-Control: no-store").withStatus(503))
	require.Equal(t, "no-store", refusal.Detail)
}

func TestStoreOnlyGET(t *testing.T) {
	for _, method := range []string{"HEAD", "POST", "PUT", "FOO"} {
		x := get("Cache-Control: max-age=60")
		x.Request.Method = method
		_, refusal := shared.Store(x)
		require.Equal(t, &Refusal{Reason: cirque.OriginNotCache, Detail: "method"}, refusal)
	}
	x := get("Cache-Control: max-age=60")
	x.Request.Method = ""
	require.Empty(t, detail(t, shared, x))
}

// A 416 to a request with Range does not answer a GET without Range.
func TestStoreRefuses416ToARange(t *testing.T) {
	x := get("Cache-Control: max-age=60").withStatus(416)
	require.Empty(t, detail(t, shared, x))
	require.Equal(t, "status", detail(t, shared, x.withRequest("Range: bytes=5-")))
	require.Empty(t, detail(t, shared, x.withStatus(404)))
}

// RFC 9111 §3, the last point. Besides, storing must be of use: without freshness or a validator
// the stored response could never be used.
func TestStoreNeedsFreshnessOrAValidator(t *testing.T) {
	const none, etag = "X: y", `ETag: "1"`
	for name, c := range map[string]struct {
		status int
		lines  []string
		want   string
	}{
		"nothing":                              {200, []string{none}, "no-freshness"},
		"a tag":                                {200, []string{etag}, ""},
		"Last-Modified":                        {200, []string{"Last-Modified: " + at(-day)}, ""},
		"Last-Modified that is not a date":     {200, []string{"Last-Modified: x"}, ""},
		"max-age=0":                            {200, []string{"Cache-Control: max-age=0"}, "no-freshness"},
		"max-age=0 and a tag":                  {200, []string{"Cache-Control: max-age=0", etag}, ""},
		"no-cache":                             {200, []string{"Cache-Control: no-cache, max-age=60"}, "no-cache"},
		"no-cache and a tag":                   {200, []string{"Cache-Control: no-cache", etag}, ""},
		"no-cache, a tag, odd status":          {299, []string{"Cache-Control: no-cache", etag}, "no-freshness"},
		"expired":                              {200, []string{"Expires: " + at(-time.Hour)}, "no-freshness"},
		"expired and a tag":                    {200, []string{"Expires: " + at(-time.Hour), etag}, ""},
		"expired when received":                {200, []string{"Cache-Control: max-age=60", "Age: 60"}, "no-freshness"},
		"expired but useful while revalidated": {200, []string{"Cache-Control: max-age=0, stale-while-revalidate=9"}, ""},
		"expired but useful on errors":         {200, []string{"Cache-Control: max-age=0, stale-if-error=9"}, ""},
		"expired, forbidden stale":             {200, []string{"Cache-Control: max-age=0, stale-if-error=9, must-revalidate"}, "no-freshness"},
		"odd status":                           {299, []string{none}, "no-freshness"},
		"odd status and a tag":                 {299, []string{etag}, "no-freshness"},
		"odd status and Last-Modified":         {299, []string{"Last-Modified: " + at(-day)}, "no-freshness"},
		"odd status, public":                   {299, []string{"Cache-Control: public"}, "no-freshness"},
		"odd status, public, a tag":            {299, []string{"Cache-Control: public", etag}, ""},
		"odd status, private":                  {299, []string{"Cache-Control: private", etag}, "private"},
		"odd status, max-age=0, a tag":         {299, []string{"Cache-Control: max-age=0", etag}, ""},
		"odd status, s-maxage=0, a tag":        {299, []string{"Cache-Control: s-maxage=0", etag}, ""},
		"odd status, Expires, a tag":           {299, []string{"Expires: 0", etag}, ""},
		"odd status, void Expires, a tag":      {299, []string{"CDN-Cache-Control: x", "Expires: " + at(time.Hour), etag}, "no-freshness"},
		"odd status, swr alone":                {299, []string{"Cache-Control: stale-while-revalidate=9", etag}, "no-freshness"},
	} {
		require.Equal(t, c.want, detail(t, shared, get(c.lines...).withStatus(c.status)), name)
	}
	require.Empty(t, detail(t, private, get("Cache-Control: private", etag).withStatus(299)))
	require.Equal(t, "no-freshness", detail(t, private, get("Cache-Control: s-maxage=60", etag).withStatus(299)))

	defaults := &Policy{Defaults: CacheMetaDefaults{FreshFor: func(int) time.Duration { return time.Second }}}
	require.Empty(t, detail(t, defaults, get().withStatus(503)))
}

// The URL does not make a page cacheable: without freshness it is not stored.
func TestStoreIgnoresTheURLOfADynamicPage(t *testing.T) {
	x := get("Content-Type: text/html")
	x.Request.URL.Path = "/account/x.css"
	require.Equal(t, "no-freshness", detail(t, shared, x))
}

// RFC 9111 §5.2.2.5 and §5.2.2.3.
func TestStoreNoStoreAndMustUnderstand(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		value  string
		want   string
	}{
		"no-store":                            {200, "no-store", "no-store"},
		"no-store and max-age":                {200, "max-age=60, No-Store", "no-store"},
		"no-store with an argument":           {200, "max-age=60, no-store=1", "no-store"},
		"no-store in quotes":                  {200, `max-age=60, x="no-store"`, ""},
		"must-understand, understood":         {200, "max-age=60, no-store, must-understand", ""},
		"must-understand alone":               {200, "max-age=60, must-understand", ""},
		"must-understand, 404":                {404, "max-age=60, no-store, must-understand", ""},
		"must-understand, not understood":     {299, "max-age=60, must-understand", "must-understand"},
		"must-understand, 305 is deprecated":  {305, "max-age=60, must-understand", "must-understand"},
		"must-understand and no-store, 599":   {599, "max-age=60, no-store, must-understand", "must-understand"},
		"must-understand, 418 is unused":      {418, "max-age=60, must-understand", "must-understand"},
		"must-understand, 421":                {421, "max-age=60, must-understand", ""},
		"must-understand, 428 is not of 9110": {428, "max-age=60, must-understand", "must-understand"},
	} {
		require.Equal(t, c.want, detail(t, shared, get("Cache-Control: "+c.value).withStatus(c.status)), name)
		require.Equal(t, c.want, detail(t, private, get("Cache-Control: "+c.value).withStatus(c.status)), name)
	}
}

// RFC 9111 §5.2.1.5. The response is not the cause, so the predictor must not remember it.
func TestStoreRequestNoStore(t *testing.T) {
	_, refusal := private.Store(get("Cache-Control: max-age=60").withRequest("Cache-Control: no-store"))
	require.Equal(t, &Refusal{Reason: cirque.OriginNotCache, Detail: "request-no-store"}, refusal)
}

// RFC 9111 §4.1.
func TestStoreVaryStar(t *testing.T) {
	for _, vary := range []string{"*", "A, *", "*, A", " * "} {
		require.Equal(t, "vary-star", detail(t, shared, get("Cache-Control: max-age=60", "Vary: "+vary)), vary)
	}
	require.Equal(t, "vary-star", detail(t, private, get("Cache-Control: max-age=60", "Vary: A", "Vary: *")))
	require.Empty(t, detail(t, shared, get("Cache-Control: max-age=60", "Vary: A, B")))
}

// A response must not be stored without its Vary.
func TestStoreRefusesIfVaryCannotBeStored(t *testing.T) {
	for _, value := range []string{`private="vary"`, `no-cache="vary"`} {
		require.Equal(t, "vary", detail(t, shared, get("Cache-Control: max-age=60, "+value, "Vary: A")))
		require.Empty(t, detail(t, shared, get("Cache-Control: max-age=60, "+value)))
	}
	meta := stored(t, shared, get("Cache-Control: max-age=60", "Vary: A", "Connection: vary"))
	require.Equal(t, "A", meta.Header().Get("Vary"))
}

func TestStoreRefusesAnInvalidHeader(t *testing.T) {
	for _, value := range []string{"a\r\nSet-Cookie: b", "a\x00"} {
		x := get("Cache-Control: max-age=60")
		x.Header["A"] = []string{value}
		require.Equal(t, "header-invalid", detail(t, shared, x))
	}
}

// RFC 9110 §15 defines these statuses and no others.
func TestUnderstoodStatuses(t *testing.T) {
	var got []int
	for status := 200; status < 600; status++ {
		if understood(status) {
			got = append(got, status)
		}
	}
	require.Equal(t, []int{
		200, 201, 202, 203, 204, 205, 206,
		300, 301, 302, 303, 304, 307, 308,
		400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 426,
		500, 501, 502, 503, 504, 505,
	}, got)
}

func TestStoreRefusesALargeHeader(t *testing.T) {
	x := get("Cache-Control: max-age=60", "Date: "+at(0))
	rest := headerSize(x.Header, nil) + len("A: \r\n")
	x.Header["A"] = []string{strings.Repeat("x", 64<<10-rest)}
	require.Empty(t, detail(t, shared, x))
	x.Header["A"][0] += "x"
	_, refusal := shared.Store(x)
	require.Equal(t, &Refusal{Reason: cirque.ResponseTooLarge, Detail: "header-too-large", ByResponse: true}, refusal)
	require.Empty(t, detail(t, &Policy{MaxHeaderBytes: 64<<10 + 1}, x))
	require.Equal(t, "header-too-large", detail(t, &Policy{MaxHeaderBytes: 20}, get("Cache-Control: max-age=60")))
}

// RFC 9110 §9.3.3.
func TestStorePost(t *testing.T) {
	post := func(status int, fields ...string) *Exchange {
		x := get(fields...).withStatus(status)
		x.Request = httptest.NewRequest(http.MethodPost, "http://example.com/a?b=c", strings.NewReader("x"))
		return x
	}
	const fresh = "Cache-Control: max-age=60"
	for location, want := range map[string]string{
		"/a?b=c":                               "",
		"?b=c":                                 "",
		"a?b=c":                                "",
		"http://example.com/a?b=c":             "",
		"HTTP://EXAMPLE.com:80/a?b=c":          "",
		"http://example.com/a?b=c#fragment":    "",
		"//example.com/a?b=c":                  "",
		"/a":                                   "content-location",
		"/a?b=d":                               "content-location",
		"/A?b=c":                               "content-location",
		"https://example.com/a?b=c":            "content-location",
		"http://example.com:8080/a?b=c":        "content-location",
		"http://example.org/a?b=c":             "content-location",
		"http://example.com/%61?b=c%zz\x7f://": "content-location",
	} {
		meta, refusal := shared.StorePost(post(200, fresh, "Content-Location: "+location))
		if want == "" {
			require.Nil(t, refusal, location)
			require.True(t, meta.IsFresh(testNow))
		} else {
			require.Equal(t, want, refusal.Detail, location)
		}
	}
	const location = "Content-Location: /a?b=c"
	for want, x := range map[string]*Exchange{
		"status":           post(201, fresh, location),
		"content-location": post(200, fresh, location, location),
		"no-freshness":     post(200, "Last-Modified: "+at(-day), location),
		"no-store":         post(200, fresh+", no-store", location),
		"authorization":    post(200, fresh, location).withRequest("Authorization: x"),
		"method":           get(fresh, location),
	} {
		_, refusal := shared.StorePost(x)
		require.Equal(t, want, refusal.Detail)
	}
	for _, value := range []string{"max-age=0", "max-age=60, public"} {
		_, refusal := shared.StorePost(post(200, "Cache-Control: "+value, location, `ETag: "1"`, "Age: 1"))
		require.Equal(t, value == "max-age=0", refusal != nil, value)
	}
	_, refusal := shared.StorePost(post(200, "Cache-Control: max-age=0", location, `ETag: "1"`))
	require.Equal(t, "no-freshness", refusal.Detail)
	_, refusal = shared.StorePost(post(200, fresh))
	require.Equal(t, "content-location", refusal.Detail)
}

func BenchmarkStore(b *testing.B) {
	x := get("Cache-Control: public, max-age=60", "Content-Type: text/html", `ETag: "abc"`, "Last-Modified: "+at(-day),
		"Date: "+at(0), "Vary: Accept-Encoding", "Server: x", "Content-Length: 1000")
	b.ReportAllocs()
	for b.Loop() {
		if _, refusal := shared.Store(x); refusal != nil {
			b.Fatal(fmt.Sprint(refusal))
		}
	}
}
