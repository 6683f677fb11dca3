package rules

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

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
		if name != "s-maxage" && name != "targeted" { // a private cache ignores these
			require.Empty(t, detail(t, private, get(c.lines...)), name)
		}
	}
	defaults := &Policy{Defaults: CacheMetaDefaults{FreshFor: func(int) time.Duration { return time.Hour }}}
	require.Equal(t, "set-cookie", detail(t, defaults, get(cookie)), "a configured lifetime is not the origin's")
}

// By default the response is stored without its cookies, in a private cache too.
func TestStoreCookiesAsThePolicySays(t *testing.T) {
	x := get("Cache-Control: max-age=60", "Set-Cookie: a=b", "Set-Cookie: c=d", "Set-Cookie2: e=f", "A: 1")
	before := x.Header.Clone()
	for _, p := range []*Policy{shared, private} {
		header := stored(t, p, x).Header()
		require.False(t, header.Has("Set-Cookie") || header.Has("Set-Cookie2"))
		require.Equal(t, "1", header.Get("A"))
	}
	require.Equal(t, before, x.Header, "this client gets the cookies")
	keep := stored(t, &Policy{SetCookie: SetCookieKeep}, x).Header()
	require.Equal(t, []string{"a=b", "c=d"}, keep.Values("Set-Cookie"))
	require.Equal(t, "e=f", keep.Get("Set-Cookie2"))
	refuse := &Policy{SetCookie: SetCookieRefuse, Private: true}
	for _, field := range []string{"Set-Cookie: a=b", "Set-Cookie2: a=b"} {
		_, refusal := refuse.Store(get("Cache-Control: max-age=60", field))
		require.Equal(t, &Refusal{Reason: cirque.OriginNotCache, Detail: "set-cookie", ByResponse: true}, refusal)
	}
	require.Empty(t, detail(t, refuse, get("Cache-Control: max-age=60")))
	require.Empty(t, detail(t, refuse, get(`Cache-Control: max-age=60, no-cache="set-cookie"`, "Set-Cookie: a=b")), "the origin itself keeps the field from being stored")
}

// An error that the request may have provoked is not stored.
func TestStoreRefusesErrorsThatTheRequestMayHaveProvoked(t *testing.T) {
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
			require.Equal(t, c.want, detail(t, shared, x), "%s: the response may answer another method or target", name)
			continue
		}
		require.Empty(t, detail(t, shared, x), name)
	}
}

// If Connection took a field from the request, a redirect or an error is not stored: the missing
// field may be its cause.
func TestStoreRefusesErrorsAfterConnectionRemovedAField(t *testing.T) {
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

// Request fields that were changed between the cache and the origin count if the response or the
// key depends on them.
func TestStoreRefusesIfAKeyedFieldWasChangedOnTheWay(t *testing.T) {
	authorization, users := []string{"Authorization"}, []string{"Authorization", "Cookie"}
	for name, c := range map[string]struct {
		policy         *Policy
		changed, keyed []string
		lines          []string
		want           string
	}{
		"a token":                     {shared, authorization, nil, nil, "authorization"},
		"a token, public":             {shared, authorization, nil, []string{"Cache-Control: public"}, ""},
		"a token, s-maxage":           {shared, authorization, nil, []string{"Cache-Control: s-maxage=5"}, ""},
		"a token, no-store":           {shared, authorization, nil, []string{"Cache-Control: no-store"}, "no-store"},
		"a token, Vary":               {shared, authorization, nil, []string{"Cache-Control: public", "Vary: Authorization"}, "request-changed"},
		"a cookie":                    {shared, []string{"Cookie"}, nil, nil, ""},
		"a cookie, Vary":              {shared, []string{"A", "Cookie"}, nil, []string{"Vary: b, cookie"}, "request-changed"},
		"one user's token":            {private, authorization, nil, nil, ""},
		"one user's cookie, Vary":     {private, []string{"Cookie"}, nil, []string{"Vary: Cookie"}, "request-changed"},
		"one of many users' token":    {private, authorization, users, nil, "request-changed"},
		"one of many users' cookie":   {private, []string{"A", "Cookie"}, users, nil, "request-changed"},
		"another field, many users":   {private, []string{"A"}, users, []string{"Vary: B"}, ""},
		"nothing changed, Vary":       {shared, nil, nil, []string{"Vary: Cookie"}, ""},
		"nothing changed, many users": {private, nil, users, []string{"Vary: Cookie"}, ""},
	} {
		x := get(append(c.lines, "Cache-Control: max-age=60")...)
		x.Changed, x.Keyed = c.changed, c.keyed
		meta, refusal := c.policy.Store(x)
		if c.want == "" {
			require.Nil(t, refusal, name)
			require.Equal(t, c.policy == shared && len(c.changed) == 1 && c.changed[0] == "Authorization", meta.Has(cirque.MetaAuthorized), name)
			continue
		}
		require.Equal(t, &Refusal{Reason: cirque.OriginNotCache, Detail: c.want, ByResponse: true}, refusal, "%s: the next response will be refused too", name)
		// ByResponse is false if this client is part of the cause.
		_, refusal = c.policy.Store(x.withRequest("Cache-Control: no-store"))
		require.False(t, refusal.ByResponse, name)
	}
	x := get("Cache-Control: max-age=60").withRequest("Authorization: x")
	x.Changed = authorization
	_, refusal := shared.Store(x)
	require.Equal(t, &Refusal{Reason: cirque.OriginNotCache, Detail: "authorization"}, refusal, "a request without Authorization may get another answer")
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
