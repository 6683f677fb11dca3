package rules

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// detail returns why p refuses x, "" where it stores it.
func detail(t *testing.T, p *Policy, x *Exchange) string {
	t.Helper()
	meta, refusal := p.Store(x)
	require.Equal(t, refusal == nil, meta != nil)
	if refusal == nil {
		return ""
	}
	return refusal.Detail
}

// withErrors are the rules where a server error goes by its own directives.
var withErrors = &Policy{StoreServerErrors: true}

// RFC 9111 §3: any final status with explicit freshness, known or not. Of server errors the owner
// has to say so.
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

// A lifetime that the owner grants to a server error is the most that it gets.
func TestStoreServerErrorsAsConfigured(t *testing.T) {
	p := &Policy{Defaults: cirque.CacheMetaDefaults{StaleWhileRevalidate: time.Minute, StaleIfError: time.Minute, FreshFor: func(status int) time.Duration {
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

// The answer to a range is not that to a GET without.
func TestStoreNo416OfARange(t *testing.T) {
	x := get("Cache-Control: max-age=60").withStatus(416)
	require.Empty(t, detail(t, shared, x))
	require.Equal(t, "status", detail(t, shared, x.withRequest("Range: bytes=5-")))
	require.Empty(t, detail(t, shared, x.withStatus(404)))
}

// RFC 9111 §3, the last point, and what makes storing worth it.
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
		"Last-Modified that is no date":        {200, []string{"Last-Modified: x"}, ""},
		"max-age=0":                            {200, []string{"Cache-Control: max-age=0"}, "no-freshness"},
		"max-age=0 and a tag":                  {200, []string{"Cache-Control: max-age=0", etag}, ""},
		"no-cache":                             {200, []string{"Cache-Control: no-cache, max-age=60"}, "no-cache"},
		"no-cache and a tag":                   {200, []string{"Cache-Control: no-cache", etag}, ""},
		"no-cache, a tag, odd status":          {299, []string{"Cache-Control: no-cache", etag}, "no-freshness"},
		"expired":                              {200, []string{"Expires: " + at(-time.Hour)}, "no-freshness"},
		"expired and a tag":                    {200, []string{"Expires: " + at(-time.Hour), etag}, ""},
		"expired on the way":                   {200, []string{"Cache-Control: max-age=60", "Age: 60"}, "no-freshness"},
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

	defaults := &Policy{Defaults: cirque.CacheMetaDefaults{FreshFor: func(int) time.Duration { return time.Second }}}
	require.Empty(t, detail(t, defaults, get().withStatus(503)))
}

// A page without freshness of its own must not be stored, whatever its URL looks like.
func TestStoreNoDynamicPageForItsURL(t *testing.T) {
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

// RFC 9111 §5.2.1.5: not caused by the response, hence not to be remembered.
func TestStoreRequestNoStore(t *testing.T) {
	_, refusal := private.Store(get("Cache-Control: max-age=60").withRequest("Cache-Control: no-store"))
	require.Equal(t, &Refusal{Reason: cirque.OriginNotCache, Detail: "request-no-store"}, refusal)
}

// RFC 9111 §5.2.2.7.
func TestStorePrivate(t *testing.T) {
	x := get("Cache-Control: private, max-age=60", "A: 1")
	require.Equal(t, "private", detail(t, shared, x))
	require.Equal(t, "1", stored(t, private, x).Header().Get("A"))

	x = get(`Cache-Control: private="A, b", max-age=60`, "A: 1", "B: 2", "C: 3")
	header := stored(t, shared, x).Header()
	require.False(t, header.Has("A") || header.Has("B"))
	require.True(t, header.Has("C"))
	require.True(t, stored(t, private, x).Header().Has("A"))
}

// RFC 9111 §5.2.2.4: what must be validated before reuse, or left out, is left out.
func TestStoreQualifiedNoCache(t *testing.T) {
	for _, p := range []*Policy{shared, private} {
		meta := stored(t, p, get(`Cache-Control: no-cache="set-cookie, A", max-age=60`, "Set-Cookie: a=b", "A: 1", "B: 2"))
		require.False(t, meta.Has(cirque.MetaNoCache))
		require.False(t, meta.Header().Has("Set-Cookie") || meta.Header().Has("A"))
		require.True(t, meta.Header().Has("B"))
	}
}

// RFC 9111 §3.5.
func TestStoreAuthorized(t *testing.T) {
	for value, want := range map[string]string{
		"max-age=60":                            "authorization",
		"max-age=60, proxy-revalidate":          "authorization",
		"max-age=60, s-maxage=x":                "no-freshness",
		"max-age=60, public":                    "",
		"max-age=60, must-revalidate":           "",
		"s-maxage=60":                           "",
		"max-age=60, private":                   "private",
		`max-age=60, private="A", public`:       "",
		"max-age=60, no-store, public":          "no-store",
		"must-understand, max-age=60, no-store": "authorization",
	} {
		x := get("Cache-Control: " + value).withRequest("Authorization: Basic x")
		require.Equal(t, want, detail(t, shared, x), value)
		meta, refusal := shared.Store(x)
		if want == "" {
			require.True(t, meta.Has(cirque.MetaAuthorized), value)
		} else {
			require.False(t, refusal.ByResponse, "%s: others may get another answer", value)
		}
	}
	meta := stored(t, private, get("Cache-Control: max-age=60").withRequest("Authorization: Basic x"))
	require.False(t, meta.Has(cirque.MetaAuthorized))
	require.False(t, stored(t, shared, get("Cache-Control: max-age=60, public")).Has(cirque.MetaAuthorized))
}

func TestStoreSetCookie(t *testing.T) {
	const cookie, etag = "Set-Cookie: a=b", `ETag: "1"`
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"max-age":          {[]string{cookie, "Cache-Control: max-age=60"}, ""},
		"s-maxage":         {[]string{cookie, "Cache-Control: s-maxage=60"}, ""},
		"Expires":          {[]string{cookie, "Expires: " + at(time.Hour)}, ""},
		"targeted":         {[]string{cookie, "CDN-Cache-Control: max-age=60"}, ""},
		"heuristic":        {[]string{cookie, "Last-Modified: " + at(-day)}, "set-cookie"},
		"public heuristic": {[]string{cookie, "Cache-Control: public", "Last-Modified: " + at(-day)}, "set-cookie"},
		"tag alone":        {[]string{cookie, etag}, "set-cookie"},
		"max-age=0":        {[]string{cookie, etag, "Cache-Control: max-age=0"}, "set-cookie"},
		"no-cache":         {[]string{cookie, etag, "Cache-Control: no-cache, max-age=60"}, "set-cookie"},
		"no longer fresh":  {[]string{cookie, etag, "Cache-Control: max-age=60", "Age: 60"}, "set-cookie"},
		"not stored":       {[]string{cookie, etag, `Cache-Control: no-cache="set-cookie"`}, ""},
	} {
		require.Equal(t, c.want, detail(t, shared, get(c.lines...)), name)
		if name != "s-maxage" && name != "targeted" { // which say nothing to it
			require.Empty(t, detail(t, private, get(c.lines...)), name)
		}
	}
	defaults := &Policy{Defaults: cirque.CacheMetaDefaults{FreshFor: func(int) time.Duration { return time.Hour }}}
	require.Equal(t, "set-cookie", detail(t, defaults, get(cookie)), "a configured lifetime is not the origin's")
}

// By default the response is stored and its cookies are not, in a private cache too.
func TestStoreWithoutSetCookie(t *testing.T) {
	x := get("Cache-Control: max-age=60", "Set-Cookie: a=b", "Set-Cookie: c=d", "Set-Cookie2: e=f", "A: 1")
	before := x.Header.Clone()
	for _, p := range []*Policy{shared, private} {
		header := stored(t, p, x).Header()
		require.False(t, header.Has("Set-Cookie") || header.Has("Set-Cookie2"))
		require.Equal(t, "1", header.Get("A"))
	}
	require.Equal(t, before, x.Header, "the client of the moment gets them")
	keep := stored(t, &Policy{SetCookie: SetCookieKeep}, x).Header()
	require.Equal(t, []string{"a=b", "c=d"}, keep.Values("Set-Cookie"))
	require.Equal(t, "e=f", keep.Get("Set-Cookie2"))
	refuse := &Policy{SetCookie: SetCookieRefuse, Private: true}
	for _, field := range []string{"Set-Cookie: a=b", "Set-Cookie2: a=b"} {
		_, refusal := refuse.Store(get("Cache-Control: max-age=60", field))
		require.Equal(t, &Refusal{Reason: cirque.OriginNotCache, Detail: "set-cookie", ByResponse: true}, refusal)
	}
	require.Empty(t, detail(t, refuse, get("Cache-Control: max-age=60")))
	require.Empty(t, detail(t, refuse, get(`Cache-Control: max-age=60, no-cache="set-cookie"`, "Set-Cookie: a=b")), "the origin keeps it out itself")
}

// RFC 9111 §4.1.
func TestStoreVaryStar(t *testing.T) {
	for _, vary := range []string{"*", "A, *", "*, A", " * "} {
		require.Equal(t, "vary-star", detail(t, shared, get("Cache-Control: max-age=60", "Vary: "+vary)), vary)
	}
	require.Equal(t, "vary-star", detail(t, private, get("Cache-Control: max-age=60", "Vary: A", "Vary: *")))
	require.Empty(t, detail(t, shared, get("Cache-Control: max-age=60", "Vary: A, B")))
}

// What varies must not be stored as if it didn't.
func TestStoreNothingWithoutItsVary(t *testing.T) {
	for _, value := range []string{`private="vary"`, `no-cache="vary"`} {
		require.Equal(t, "vary", detail(t, shared, get("Cache-Control: max-age=60, "+value, "Vary: A")))
		require.Empty(t, detail(t, shared, get("Cache-Control: max-age=60, "+value)))
	}
	meta := stored(t, shared, get("Cache-Control: max-age=60", "Vary: A", "Connection: vary"))
	require.Equal(t, "A", meta.Header().Get("Vary"))
}

func TestStoreNoHeaderThatCannotBeSent(t *testing.T) {
	for _, value := range []string{"a\r\nSet-Cookie: b", "a\x00"} {
		x := get("Cache-Control: max-age=60")
		x.Header["A"] = []string{value}
		require.Equal(t, "header-invalid", detail(t, shared, x))
	}
}

// What is stored may be the header that was received, or a changed copy.
func TestStoreLeavesTheHeaderAlone(t *testing.T) {
	for _, fields := range [][]string{
		{"Cache-Control: max-age=60"}, {"Cache-Control: max-age=60", "Date: " + at(0)},
		{`Cache-Control: max-age=60, no-cache="a", private="b"`, "Date: " + at(0), "A: 1", "B: 1", "Connection: c", "C: 1"},
	} {
		x := get(fields...)
		require.NotEmpty(t, stored(t, shared, x).Header().Get("Date"))
		require.Equal(t, lines(fields...), x.Header)
	}
}

// RFC 9110 §15 defines these, and no others.
func TestUnderstood(t *testing.T) {
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

func TestStoreLargeHeader(t *testing.T) {
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

// Errors that a request can provoke are for it alone.
func TestStoreNoProvokedErrors(t *testing.T) {
	large := strings.Repeat("x", 8<<10)
	for name, c := range map[string]struct {
		request []string
		want    string
	}{
		"method override":               {[]string{"X-HTTP-Method-Override: DELETE"}, "method-override"},
		"method override 2":             {[]string{"X-HTTP-Method: DELETE"}, "method-override"},
		"method override 3":             {[]string{"X-Method-Override: DELETE"}, "method-override"},
		"target override":               {[]string{"X-Original-URL: /admin"}, "target-override"},
		"target override 2":             {[]string{"X-Rewrite-URL: /admin"}, "target-override"},
		"control character":             {[]string{"A: x\x07y"}, "cpdos-request"},
		"oversize":                      {[]string{"A: " + large}, "cpdos-request"},
		"oversize in parts":             {[]string{"A: " + large[:4<<10], "A: " + large[:4<<10]}, "cpdos-request"},
		"oversize in a variance field":  {[]string{"Accept-Language: " + large}, ""},
		"nothing special":               {[]string{"A: " + large[:8<<10-len("A: \r\n")]}, ""},
		"oversize in a private's key":   {[]string{"Cookie: " + large}, "cpdos-request"},
		"oversize in a private's key 2": {[]string{"Authorization: " + large}, "cpdos-request"},
	} {
		for _, status := range []int{400, 404, 500, 599} {
			x := get("Cache-Control: public, max-age=60", "Vary: accept-language").withStatus(status).withRequest(c.request...)
			require.Equal(t, c.want, detail(t, withErrors, x), "%s: %d", name, status)
			if _, refusal := withErrors.Store(x); refusal != nil {
				require.False(t, refusal.ByResponse)
			}
			if strings.Contains(name, "private") {
				require.Empty(t, detail(t, &Policy{Private: true, StoreServerErrors: true}, x), name)
			}
		}
		x := get("Cache-Control: public, max-age=60").withStatus(399).withRequest(c.request...)
		if strings.HasSuffix(c.want, "-override") {
			require.Equal(t, c.want, detail(t, shared, x), "%s: it may be the answer to another method, or target", name)
			continue
		}
		require.Empty(t, detail(t, shared, x), name)
	}
}

// What an origin answers for want of a field that Connection listed is not for others.
func TestNothingProvokedByConnectionIsStored(t *testing.T) {
	for status, want := range map[int]string{200: "", 299: "", 300: "cpdos-request", 301: "cpdos-request", 400: "cpdos-request", 500: "cpdos-request"} {
		x := get("Cache-Control: public, max-age=60").withStatus(status)
		require.Empty(t, detail(t, withErrors, x))
		x.Stripped = true
		require.Equal(t, want, detail(t, withErrors, x), status)
	}
	x := get("Cache-Control: no-store").withStatus(400)
	x.Stripped = true
	_, refusal := shared.Store(x)
	require.Equal(t, &Refusal{Reason: cirque.OriginNotCache, Detail: "no-store"}, refusal)
}

func TestRefusalByResponse(t *testing.T) {
	_, refusal := shared.Store(get("Cache-Control: no-store"))
	require.Equal(t, &Refusal{Reason: cirque.OriginNotCache, Detail: "no-store", ByResponse: true}, refusal)
	for _, request := range []string{"Authorization: x", "Cache-Control: no-store"} {
		_, refusal = shared.Store(get("Cache-Control: no-store").withRequest(request))
		require.Equal(t, &Refusal{Reason: cirque.OriginNotCache, Detail: "no-store"}, refusal, request)
	}
	_, refusal = shared.Store(get().withStatus(400).withRequest("X-HTTP-Method: PUT"))
	require.False(t, refusal.ByResponse)
}

func TestStoredMeta(t *testing.T) {
	x := get("Cache-Control: max-age=60, stale-while-revalidate=5, stale-if-error=7", "Age: 10", "A: 1", "A: 2", "Connection: b", "B: 1").
		withStatus(404)
	x.RequestTime = testNow.Add(-2 * time.Second)
	meta := stored(t, shared, x)
	require.Equal(t, 404, meta.StatusCode())
	require.True(t, meta.Created().Equal(testNow) && meta.Updated().Equal(testNow))
	require.True(t, meta.Epoch().Equal(testNow.Add(-12*time.Second)))
	require.True(t, meta.FreshUntil().Equal(testNow.Add(48*time.Second)))
	require.Equal(t, 12*time.Second, meta.Age(testNow))
	require.Equal(t, 5*time.Second, meta.StaleWhileRevalidate())
	require.Equal(t, 7*time.Second, meta.StaleIfError())
	require.Zero(t, meta.Flags())
	require.Equal(t, lines(
		"Cache-Control: max-age=60, stale-while-revalidate=5, stale-if-error=7", "Age: 10", "A: 1", "A: 2", "Date: "+at(0),
	), meta.Header().Header())
	require.NotContains(t, x.Header, "Date", "the exchange is not the rule's to change")

	require.Equal(t, "Sat, 14 Mar 2026 09:00:00 GMT",
		stored(t, shared, get("Cache-Control: max-age=9999", "Date: Sat, 14 Mar 2026 09:00:00 GMT")).Header().Get("Date"))
}

func TestStoredFlags(t *testing.T) {
	const fresh = "Cache-Control: max-age=60"
	decoded := get(fresh)
	decoded.Decoded = true
	for name, c := range map[string]struct {
		x               *Exchange
		shared, private cirque.MetaFlags
	}{
		"plain":            {get(fresh), 0, 0},
		"must-revalidate":  {get(fresh + ", must-revalidate"), cirque.MetaNoStale, cirque.MetaNoStale},
		"proxy-revalidate": {get(fresh + ", proxy-revalidate"), cirque.MetaNoStale, 0},
		"s-maxage":         {get(fresh + ", s-maxage=60"), cirque.MetaNoStale, 0},
		"no-cache":         {get(fresh+", no-cache", `ETag: "1"`), cirque.MetaNoCache, cirque.MetaNoCache},
		"decoded":          {decoded, cirque.MetaDecoded, cirque.MetaDecoded},
		"heuristic":        {get("Last-Modified: " + at(-day)), cirque.MetaHeuristic, cirque.MetaHeuristic},
		"no lifetime":      {get(`ETag: "1"`), cirque.MetaNoStale, cirque.MetaNoStale},
		"no lifetime, swr": {get(`ETag: "1"`, "Cache-Control: stale-while-revalidate=5"), 0, 0},
		"no lifetime, sie": {get(`ETag: "1"`, "Cache-Control: stale-if-error=5"), 0, 0},
		"max-age=0":        {get(`ETag: "1"`, "Cache-Control: max-age=0"), 0, 0},
		"immutable":        {get(fresh + ", immutable"), cirque.MetaImmutable, 0},
		"Pragma":           {get(fresh, "Pragma: no-cache"), 0, 0},
	} {
		require.Equal(t, c.shared, stored(t, shared, c.x).Flags(), name)
		require.Equal(t, c.private, stored(t, private, c.x).Flags(), name)
	}
}

// RFC 8246 §3.
func TestImmutableIsTrustedWhereAuthenticated(t *testing.T) {
	x := get("Cache-Control: max-age=60, immutable")
	x.Request.TLS = new(tls.ConnectionState)
	require.True(t, stored(t, private, x).Has(cirque.MetaImmutable))
	x.Request.TLS = nil
	require.False(t, stored(t, private, x).Has(cirque.MetaImmutable))

	for url, want := range map[string]bool{"https://example.com/": true, "http://example.com/": false} {
		request, err := http.NewRequest(http.MethodGet, url, nil) // a client's
		require.NoError(t, err)
		x.Request = request
		require.Equal(t, want, stored(t, private, x).Has(cirque.MetaImmutable), url)
	}
}

// RFC 5861.
func TestStaleWindows(t *testing.T) {
	p := &Policy{Defaults: cirque.CacheMetaDefaults{StaleWhileRevalidate: time.Second, StaleIfError: 2 * time.Second}}
	for name, c := range map[string]struct {
		lines    []string
		swr, sie time.Duration
	}{
		"defaults":               {[]string{"Cache-Control: max-age=60"}, time.Second, 2 * time.Second},
		"explicit swr":           {[]string{"Cache-Control: max-age=60, stale-while-revalidate=5"}, 5 * time.Second, 2 * time.Second},
		"explicit sie":           {[]string{"Cache-Control: max-age=60, stale-if-error=5"}, time.Second, 5 * time.Second},
		"explicit zero":          {[]string{"Cache-Control: max-age=60, stale-while-revalidate=0, stale-if-error=0"}, 0, 0},
		"unreadable":             {[]string{"Cache-Control: max-age=60, stale-while-revalidate=x"}, 0, 2 * time.Second},
		"heuristic":              {[]string{"Last-Modified: " + at(-day)}, time.Second, 2 * time.Second},
		"never fresh":            {[]string{"Cache-Control: max-age=0", `ETag: "1"`}, 0, 0},
		"never fresh, expires":   {[]string{"Expires: " + at(-day), `ETag: "1"`}, 0, 0},
		"without any lifetime":   {[]string{`ETag: "1"`}, 0, 0},
		"never fresh but stated": {[]string{"Cache-Control: max-age=0, stale-if-error=5"}, 0, 5 * time.Second},
	} {
		meta := stored(t, p, get(c.lines...))
		require.Equal(t, c.swr, meta.StaleWhileRevalidate(), name)
		require.Equal(t, c.sie, meta.StaleIfError(), name)
	}
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

// Fields that were added or replaced between the cache and the origin count where the response or
// the key depends on them.
func TestStoreWhatWasChangedOnTheWay(t *testing.T) {
	authorization, users := []string{"Authorization"}, []string{"Authorization", "Cookie"}
	for name, c := range map[string]struct {
		policy         *Policy
		changed, keyed []string
		lines          []string
		want           string
	}{
		"a token":                      {shared, authorization, nil, nil, "authorization"},
		"a token, public":              {shared, authorization, nil, []string{"Cache-Control: public"}, ""},
		"a token, s-maxage":            {shared, authorization, nil, []string{"Cache-Control: s-maxage=5"}, ""},
		"a token, no-store":            {shared, authorization, nil, []string{"Cache-Control: no-store"}, "no-store"},
		"a token, Vary":                {shared, authorization, nil, []string{"Cache-Control: public", "Vary: Authorization"}, "request-changed"},
		"a cookie":                     {shared, []string{"Cookie"}, nil, nil, ""},
		"a cookie, Vary":               {shared, []string{"A", "Cookie"}, nil, []string{"Vary: b, cookie"}, "request-changed"},
		"one user's token":             {private, authorization, nil, nil, ""},
		"one user's cookie, Vary":      {private, []string{"Cookie"}, nil, []string{"Vary: Cookie"}, "request-changed"},
		"one of many users' token":     {private, authorization, users, nil, "request-changed"},
		"one of many users' cookie":    {private, []string{"A", "Cookie"}, users, nil, "request-changed"},
		"nothing of many users'":       {private, []string{"A"}, users, []string{"Vary: B"}, ""},
		"nothing, but it varies":       {shared, nil, nil, []string{"Vary: Cookie"}, ""},
		"nothing, but it is all users": {private, nil, users, []string{"Vary: Cookie"}, ""},
	} {
		x := get(append(c.lines, "Cache-Control: max-age=60")...)
		x.Changed, x.Keyed = c.changed, c.keyed
		meta, refusal := c.policy.Store(x)
		if c.want == "" {
			require.Nil(t, refusal, name)
			require.Equal(t, c.policy == shared && len(c.changed) == 1 && c.changed[0] == "Authorization", meta.Has(cirque.MetaAuthorized), name)
			continue
		}
		require.Equal(t, &Refusal{Reason: cirque.OriginNotCache, Detail: c.want, ByResponse: true}, refusal, "%s: so it will be with the next one", name)
		// But not where this client is part of the cause.
		_, refusal = c.policy.Store(x.withRequest("Cache-Control: no-store"))
		require.False(t, refusal.ByResponse, name)
	}
	x := get("Cache-Control: max-age=60").withRequest("Authorization: x")
	x.Changed = authorization
	_, refusal := shared.Store(x)
	require.Equal(t, &Refusal{Reason: cirque.OriginNotCache, Detail: "authorization"}, refusal, "those without it may get another answer")
}
