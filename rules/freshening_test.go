package rules

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// later returns the exchange of a GET and a 304 with these fields, a minute after testNow.
func later(fields ...string) *Exchange {
	x := get(fields...).withStatus(http.StatusNotModified)
	x.RequestTime, x.ResponseTime = testNow.Add(time.Minute), testNow.Add(time.Minute)
	return x
}

func freshened(t *testing.T, p *Policy, meta *cirque.CacheMeta, x *Exchange) *cirque.CacheMeta {
	t.Helper()
	fresh, refusal := p.Freshen(meta, x)
	require.Nil(t, refusal)
	return fresh
}

// RFC 9111 §3.2 and §4.3.4.
func TestFreshenUpdatesTheHeader(t *testing.T) {
	old := stored(t, shared, get("Cache-Control: max-age=1", `ETag: "a"`, "A: 1", "A: 2", "B: 1", "Content-Type: a/b", "Content-Length: 5",
		"Content-Encoding: gzip", "Date: "+at(0), "Age: 0", "Vary: Cookie, Accept"))
	x := later("Cache-Control: max-age=100", `ETag: "a"`, "A: 3", "C: 4", "C: 5", "Content-Type: c/d", "Content-Length: 0",
		"Content-Encoding: br", "Content-Range: bytes 0-1/5", "Date: "+at(time.Minute), "Connection: d", "D: 1", "Keep-Alive: 1",
		"Proxy-Authenticate: x", "Vary: accept")
	before := x.Header.Clone()
	fresh := freshened(t, shared, old, x)
	require.Equal(t, lines("Cache-Control: max-age=100", `ETag: "a"`, "A: 3", "B: 1", "C: 4", "C: 5", "Content-Type: c/d", "Content-Length: 5",
		"Content-Encoding: gzip", "Date: "+at(time.Minute), "Vary: Cookie, Accept"), fresh.Header().Header())
	require.Equal(t, before, x.Header)
	require.Equal(t, "1", old.Header().Get("A"), "a stored meta never changes")
	require.True(t, fresh.FreshUntil().Equal(testNow.Add(160*time.Second)))
	require.True(t, fresh.Updated().Equal(testNow.Add(time.Minute)))
	require.True(t, fresh.Created().Equal(testNow))
}

func TestFreshenKeepsStatusVarianceExtensionsAndFlags(t *testing.T) {
	old := stored(t, shared, get("Cache-Control: max-age=1, public", `ETag: "a"`).withRequest("Authorization: x").withStatus(404))
	old.SetVariance(cirque.HashBinary{1})
	old.SetExtension("mine", "x")
	old.SetFlags(old.Flags() | cirque.MetaDecoded | cirque.MetaPartial)
	fresh := freshened(t, shared, old, later())
	require.Equal(t, 404, fresh.StatusCode())
	require.Equal(t, cirque.HashBinary{1}, fresh.Variance())
	value, _ := fresh.Extension("mine")
	require.Equal(t, "x", value)
	require.True(t, fresh.Has(cirque.MetaDecoded|cirque.MetaPartial|cirque.MetaAuthorized))
}

func TestFreshenComputesFreshnessAnew(t *testing.T) {
	base := []string{`ETag: "a"`}
	for name, c := range map[string]struct {
		stored, update []string
		lifetime, age  time.Duration // at the time of the 304
		flags          cirque.MetaFlags
	}{
		"the stored directives":    {[]string{"Cache-Control: max-age=50"}, nil, 50 * time.Second, 0, 0},
		"the 304's directives":     {[]string{"Cache-Control: max-age=50"}, []string{"Cache-Control: max-age=7"}, 7 * time.Second, 0, 0},
		"new directives":           {[]string{"Cache-Control: max-age=50"}, []string{"Cache-Control: max-age=7, must-revalidate"}, 7 * time.Second, 0, cirque.MetaNoStale},
		"old directives end":       {[]string{"Cache-Control: max-age=50, must-revalidate"}, []string{"Cache-Control: max-age=7"}, 7 * time.Second, 0, 0},
		"no-cache":                 {[]string{"Cache-Control: max-age=50"}, []string{"Cache-Control: max-age=7, no-cache"}, 7 * time.Second, 0, cirque.MetaNoCache},
		"the old age is gone":      {[]string{"Cache-Control: max-age=50", "Age: 40"}, nil, 50 * time.Second, 0, 0},
		"the 304's age":            {[]string{"Cache-Control: max-age=50"}, []string{"Age: 10"}, 50 * time.Second, 10 * time.Second, 0},
		"the old date is gone":     {[]string{"Cache-Control: max-age=50", "Date: " + at(-time.Hour)}, nil, 50 * time.Second, 0, 0},
		"the 304's Expires":        {[]string{"Expires: " + at(time.Second)}, []string{"Expires: " + at(2*time.Minute)}, time.Minute, 0, 0},
		"the stored Expires":       {[]string{"Expires: " + at(90*time.Second)}, nil, 30 * time.Second, 0, 0},
		"a heuristic":              {[]string{"Last-Modified: " + at(-40*time.Second)}, nil, 10 * time.Second, 0, cirque.MetaHeuristic},
		"a targeted field arrives": {[]string{"Cache-Control: max-age=50"}, []string{"CDN-Cache-Control: max-age=9"}, 9 * time.Second, 0, 0},
	} {
		fresh := freshened(t, shared, stored(t, shared, get(append(base, c.stored...)...)), later(c.update...))
		now := testNow.Add(time.Minute)
		require.Equal(t, c.lifetime-c.age, fresh.FreshUntil().Sub(now), name)
		require.Equal(t, c.age, fresh.Age(now), name)
		require.Equal(t, c.flags, fresh.Flags(), name)
		require.True(t, fresh.Header().Has("Date"), name)
	}
	fresh := freshened(t, shared, stored(t, shared, get("Cache-Control: max-age=50", `ETag: "a"`, "Date: "+at(0))), later())
	require.Equal(t, at(time.Minute), fresh.Header().Get("Date"), "RFC 9110 §6.6.1")
}

func TestFreshenRefuses(t *testing.T) {
	plain := []string{"Cache-Control: max-age=50", `ETag: "a"`}
	for name, c := range map[string]struct {
		stored, request, update []string
		want                    string
		byResponse              bool
	}{
		"no-store":             {plain, nil, []string{"Cache-Control: no-store"}, "no-store", true},
		"private":              {plain, nil, []string{"Cache-Control: private"}, "private", true},
		"request no-store":     {plain, []string{"Cache-Control: no-store"}, nil, "request-no-store", false},
		"authorized":           {plain, []string{"Authorization: x"}, nil, "authorization", false},
		"authorized, no-store": {plain, []string{"Authorization: x"}, []string{"Cache-Control: no-store"}, "no-store", false},
		"Vary arrives":         {plain, nil, []string{"Vary: Cookie"}, "vary-changed", true},
		"Vary widens":          {append(plain, "Vary: A"), nil, []string{"Vary: A, B"}, "vary-changed", true},
		"Vary: *":              {append(plain, "Vary: A"), nil, []string{"Vary: *"}, "vary-star", true},
		"Set-Cookie, Age":      {plain, nil, []string{"Set-Cookie: a=b", "Cache-Control: max-age=5", "Age: 6"}, "set-cookie", true},
		"Set-Cookie, no-cache": {plain, nil, []string{"Set-Cookie: a=b", "Cache-Control: no-cache"}, "set-cookie", true},
		"an invalid field":     {plain, nil, []string{"A: b\rc"}, "header-invalid", true},
	} {
		old := stored(t, shared, get(c.stored...))
		meta, refusal := shared.Freshen(old, later(c.update...).withRequest(c.request...))
		require.NotNil(t, refusal, name)
		require.Equal(t, c.want, refusal.Detail, name)
		require.Equal(t, c.byResponse, refusal.ByResponse, name)
		// The updated response answers the request even so.
		require.Equal(t, 200, meta.StatusCode(), name)
		for field, values := range lines(c.update...) {
			if field != "Set-Cookie" { // it is in no meta; the caller sends it from the 304
				require.Equal(t, values, meta.Header().Values(field), name)
			}
		}
	}
}

// A refusal because of a cookie in a 304 ends a stored response that other clients could get
// without asking the origin. It ends no other response.
func TestFreshenWithCookieEndsOnlyWhatIsReusedUnasked(t *testing.T) {
	for name, c := range map[string]struct {
		stored, update []string
		ends           bool
	}{
		"fresh by now":                   {[]string{"Cache-Control: max-age=100"}, []string{"Cache-Control: no-cache"}, true},
		"stale by now, may be used":      {[]string{"Cache-Control: max-age=1"}, []string{"Cache-Control: no-cache"}, true},
		"no-cache":                       {[]string{"Cache-Control: no-cache, max-age=100"}, nil, false},
		"no lifetime":                    {[]string{"Cache-Control: max-age=0, must-revalidate"}, nil, false},
		"no Cache-Control":               {nil, nil, false},
		"stale by now, must not be used": {[]string{"Cache-Control: s-maxage=1"}, []string{"Cache-Control: no-cache"}, false},
		"s-maxage, fresh by now":         {[]string{"Cache-Control: s-maxage=100"}, []string{"Cache-Control: no-cache"}, true},
		"no-cache, private":              {[]string{"Cache-Control: no-cache"}, []string{"Cache-Control: private"}, true},
		"no-cache, no-store":             {[]string{"Cache-Control: no-cache"}, []string{"Cache-Control: no-store"}, true},
		"no-cache, and Vary is new":      {[]string{"Cache-Control: no-cache"}, []string{"Vary: A"}, true},
		"no-cache, and Vary is the same": {[]string{"Cache-Control: no-cache", "Vary: A"}, []string{"Vary: A"}, false},
	} {
		old := stored(t, shared, get(append(c.stored, `ETag: "a"`)...))
		_, refusal := shared.Freshen(old, later(append(c.update, "Set-Cookie: a=b")...)) // a minute later
		require.NotNil(t, refusal, name)
		require.Equal(t, c.ends, refusal.Ends, name)
		require.True(t, refusal.ByResponse, name)
	}
}

// A refusal that follows from the update takes effect for all clients (RFC 9111 §4.3.4). One that
// follows from the request alone does not.
func TestFreshenEndsTheStoredResponseOnlyByTheUpdate(t *testing.T) {
	for _, c := range []struct {
		request, update []string
		want            string
		ends            bool
	}{
		{nil, []string{"Cache-Control: private"}, "private", true},
		{[]string{"Authorization: x"}, []string{"Cache-Control: private"}, "private", true},
		{[]string{"Authorization: x"}, []string{"Cache-Control: no-store"}, "no-store", true},
		{[]string{"Authorization: x"}, []string{"Vary: *"}, "vary-star", true},
		{[]string{"Authorization: x"}, []string{"Vary: A", "Cache-Control: public, max-age=5"}, "vary-changed", true},
		{[]string{"Cache-Control: no-store"}, []string{"Cache-Control: private"}, "private", true},
		{[]string{"Authorization: x"}, nil, "authorization", false},
		{[]string{"Authorization: x"}, []string{"Cache-Control: max-age=5"}, "authorization", false},
		{[]string{"Cache-Control: no-store"}, nil, "request-no-store", false},
	} {
		old := stored(t, shared, get("Cache-Control: max-age=50", `ETag: "a"`))
		_, refusal := shared.Freshen(old, later(c.update...).withRequest(c.request...))
		require.NotNil(t, refusal, c)
		require.Equal(t, c.want, refusal.Detail, c)
		require.Equal(t, c.ends, refusal.Ends, c)
	}
}

// A 304 that adds fields must not turn one client's response into another's.
func TestFreshenStoresCookiesAsThePolicySays(t *testing.T) {
	const cookie = "Set-Cookie: a=b"
	keep, keepPrivate := &Policy{SetCookie: SetCookieKeep}, &Policy{SetCookie: SetCookieKeep, Private: true}
	old := stored(t, keep, get("Cache-Control: max-age=50", `ETag: "a"`, "Vary: A", cookie))
	// SetCookieKeep: the cookie stays that came with explicit freshness, and so does the stored
	// Vary.
	fresh := freshened(t, keep, old, later("Vary:", "Content-Length: 99"))
	require.Equal(t, "a=b", fresh.Header().Get("Set-Cookie"))
	require.Equal(t, []string{"A"}, fresh.Header().Values("Vary"))
	require.False(t, fresh.Header().Has("Content-Length"))
	// A new cookie is stored if the 304 grants freshness itself.
	fresh = freshened(t, keep, old, later("Set-Cookie: c=d", "Cache-Control: max-age=5"))
	require.Equal(t, []string{"c=d"}, fresh.Header().Values("Set-Cookie"))
	_, refusal := keep.Freshen(old, later("Set-Cookie: c=d"))
	require.Equal(t, "set-cookie", refusal.Detail)
	// A private cache stores it in any case, because it has one client.
	fresh = freshened(t, keepPrivate, old, later("Set-Cookie: c=d"))
	require.Equal(t, []string{"c=d"}, fresh.Header().Values("Set-Cookie"))
	// The update is stored without the cookie if the origin says so, and always by default.
	fresh = freshened(t, keep, old, later("Set-Cookie: c=d", `Cache-Control: max-age=5, no-cache="set-cookie"`))
	require.False(t, fresh.Header().Has("Set-Cookie"))
	fresh = freshened(t, keep, old, later("Set-Cookie: c=d", `Cache-Control: no-cache="set-cookie"`))
	require.False(t, fresh.Header().Has("Set-Cookie"))
	for _, drop := range []*Policy{shared, private} {
		for _, update := range []*Exchange{later(), later("Set-Cookie: c=d"), later("Set-Cookie2: c=d", "Cache-Control: max-age=5")} {
			fresh = freshened(t, drop, old, update)
			require.False(t, fresh.Header().Has("Set-Cookie"))
			require.False(t, fresh.Header().Has("Set-Cookie2"))
		}
	}
	_, refusal = (&Policy{SetCookie: SetCookieRefuse}).Freshen(old, later("Set-Cookie: c=d", "Cache-Control: max-age=5"))
	require.Equal(t, &Refusal{Reason: cirque.OriginNotCache, Detail: "set-cookie", ByResponse: true, Ends: true}, refusal)
}

// RFC 9111 §4.3.4.
func TestSelectForFreshening(t *testing.T) {
	v := func(tag, modified string, age time.Duration) cirque.Variant {
		return cirque.Variant{ETag: tag, LastModified: modified, Created: testNow.Add(-age)}
	}
	a, b := v(`"a"`, at(-1*day), 2), v(`"b"`, at(-2*day), 1)
	weak, dated, bare := v(`W/"a"`, at(-3*day), 3), v("", at(-4*day), 4), v("", "", 5)
	for name, c := range map[string]struct {
		update     []string
		candidates []cirque.Variant
		want       int
	}{
		"strong":                          {[]string{`ETag: "b"`}, []cirque.Variant{a, b, weak}, 1},
		"strong, the newest":              {[]string{`ETag: "a"`}, []cirque.Variant{a, v(`"a"`, "", 1), v(`"a"`, "", 3), b}, 1},
		"strong, the first is the newest": {[]string{`ETag: "a"`}, []cirque.Variant{v(`"a"`, "", 1), v(`"a"`, "", 3)}, 0},
		"strong, none":                    {[]string{`ETag: "c"`}, []cirque.Variant{a, b}, -1},
		"strong, none of one":             {[]string{`ETag: "c"`}, []cirque.Variant{a}, -1},
		"strong against weak":             {[]string{`ETag: "a"`}, []cirque.Variant{weak}, -1},
		"strong decides over the date":    {[]string{`ETag: "c"`, "Last-Modified: " + at(-1*day)}, []cirque.Variant{a}, -1},
		"weak":                            {[]string{`ETag: W/"b"`}, []cirque.Variant{a, b}, 1},
		"weak, the newest":                {[]string{`ETag: W/"a"`}, []cirque.Variant{weak, a, b}, 1},
		"weak, none":                      {[]string{`ETag: W/"c"`}, []cirque.Variant{a, b}, -1},
		"date":                            {[]string{"Last-Modified: " + at(-2*day)}, []cirque.Variant{a, b, dated}, 1},
		"date, spelt otherwise":           {[]string{"Last-Modified: " + testNow.Add(-2*day).Format(time.ANSIC)}, []cirque.Variant{a, b, dated}, 1},
		"date, none":                      {[]string{"Last-Modified: " + at(0)}, []cirque.Variant{a, b, dated}, -1},
		"no validator, one":               {nil, []cirque.Variant{bare}, 0},
		"no validator, one that has some": {nil, []cirque.Variant{a}, 0},
		"no validator, several":           {nil, []cirque.Variant{a, bare}, -1},
		"no candidates":                   {[]string{`ETag: "a"`}, nil, -1},
	} {
		require.Equal(t, c.want, SelectForFreshening(lines(c.update...), c.candidates), name)
	}
}

// RFC 9111 §4.3.5.
func TestCompareHead(t *testing.T) {
	full := held(200, `ETag: "a"`, "Last-Modified: "+at(-day), "Content-Length: 5")
	bare := held(200)
	decoded := held(200, `ETag: "a"`)
	decoded.SetFlags(cirque.MetaDecoded)
	for name, c := range map[string]struct {
		stored *cirque.CacheMeta
		length int64
		head   []string
		want   HeadComparison
	}{
		"all match":                {full, 5, []string{`ETag: "a"`, "Last-Modified: " + at(-day), "Content-Length: 5"}, HeadSame},
		"nothing received":         {full, 5, nil, HeadUnknown},
		"the length alone":         {full, 5, []string{"Content-Length: 5"}, HeadUnknown},
		"the tag alone":            {full, 5, []string{`ETag: "a"`}, HeadSame},
		"another tag":              {full, 5, []string{`ETag: "b"`}, HeadDiffers},
		"a weaker tag":             {full, 5, []string{`ETag: W/"a"`}, HeadDiffers},
		"the date alone":           {full, 5, []string{"Last-Modified: " + at(-day)}, HeadSame},
		"another date":             {full, 5, []string{"Last-Modified: " + at(0)}, HeadDiffers},
		"another date, same tag":   {full, 5, []string{`ETag: "a"`, "Last-Modified: " + at(0)}, HeadDiffers},
		"date, spelt otherwise":    {full, 5, []string{"Last-Modified: " + testNow.Add(-day).Format(time.ANSIC)}, HeadSame},
		"another length":           {full, 5, []string{"Content-Length: 6"}, HeadDiffers},
		"another length, same tag": {full, 5, []string{`ETag: "a"`, "Content-Length: 6"}, HeadDiffers},
		"a tag that is new":        {bare, 5, []string{`ETag: "a"`}, HeadDiffers},
		"a date that is new":       {bare, 5, []string{"Last-Modified: " + at(0)}, HeadDiffers},
		"the body's length":        {bare, 5, []string{"Content-Length: 5"}, HeadUnknown},
		"not the body's length":    {bare, 5, []string{"Content-Length: 6"}, HeadDiffers},
		"a length of two digits":   {bare, 12, []string{"Content-Length: 12"}, HeadUnknown},
		"no length":                {bare, 0, []string{"Content-Length: 6"}, HeadDiffers},
		"an unknown length":        {bare, -1, []string{"Content-Length: 6"}, HeadUnknown},
		"the length undecoded":     {decoded, 5, []string{"Content-Length: 3", `ETag: "a"`}, HeadSame},
		"but another tag, still":   {decoded, 5, []string{"Content-Length: 3", `ETag: "b"`}, HeadDiffers},
	} {
		require.Equal(t, c.want, CompareHead(c.stored, c.length, lines(c.head...)), name)
	}
	for c, name := range map[HeadComparison]string{HeadUnknown: "Unknown", HeadSame: "Same", HeadDiffers: "Differs", 9: "HeadComparison(?)"} {
		require.Equal(t, name, c.String())
	}
}

func TestFreshenByHead(t *testing.T) {
	old := stored(t, shared, get("Cache-Control: max-age=1", `ETag: "a"`, "Content-Length: 5", "A: 1"))
	x := later("Cache-Control: max-age=50", `ETag: "a"`, "Content-Length: 5", "A: 2").withStatus(http.StatusOK)
	x.Request.Method = http.MethodHead
	fresh := freshened(t, shared, old, x)
	require.Equal(t, "2", fresh.Header().Get("A"))
	require.Equal(t, 50*time.Second, fresh.FreshUntil().Sub(x.ResponseTime))
}
