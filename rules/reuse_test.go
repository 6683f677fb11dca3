package rules

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// aged returns a meta of this age and freshness lifetime, with stale-while-revalidate swr and
// stale-if-error sie.
func aged(age, lifetime, swr, sie time.Duration, flags cirque.MetaFlags) *cirque.CacheMeta {
	m := cirque.NewCacheMeta(200, nil, testNow.Add(-age), testNow.Add(lifetime-age), swr, sie)
	m.SetFlags(flags)
	return m
}

func asked(value string) *RequestDirectives {
	d := shared.RequestDirectives(lines("Cache-Control: " + value))
	return &d
}

// RFC 9111 §4 and §4.2.4, RFC 5861.
func TestReuseByTheResponse(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct {
		meta *cirque.CacheMeta
		want ReuseDecision
	}{
		"fresh":                         {aged(1*s, 10*s, 0, 0, 0), ReuseDecision{Reuse: ReuseFresh}},
		"fresh to the last":             {aged(10*s-1, 10*s, 0, 0, 0), ReuseDecision{Reuse: ReuseFresh}},
		"stale at the lifetime":         {aged(10*s, 10*s, 0, 0, 0), ReuseDecision{Reuse: ReuseValidate, Fwd: "stale"}},
		"fresh, no-cache":               {aged(1*s, 10*s, 9*s, 9*s, cirque.MetaNoCache), ReuseDecision{Reuse: ReuseValidate, Fwd: "stale", Detail: "no-cache"}},
		"fresh, must-revalidate":        {aged(1*s, 10*s, 0, 0, cirque.MetaNoStale), ReuseDecision{Reuse: ReuseFresh}},
		"while revalidated":             {aged(12*s, 10*s, 3*s, 0, 0), ReuseDecision{Reuse: ReuseWhileRevalidate, Fwd: "stale", Detail: "stale-while-revalidate"}},
		"while revalidated, too late":   {aged(13*s, 10*s, 3*s, 0, 0), ReuseDecision{Reuse: ReuseValidate, Fwd: "stale"}},
		"while revalidated, forbidden":  {aged(12*s, 10*s, 3*s, 0, cirque.MetaNoStale), ReuseDecision{Reuse: ReuseValidate, Fwd: "stale"}},
		"on errors":                     {aged(12*s, 10*s, 0, 3*s, 0), ReuseDecision{Reuse: ReuseValidate, Fwd: "stale", StaleIfError: true}},
		"on errors, too late":           {aged(13*s, 10*s, 0, 3*s, 0), ReuseDecision{Reuse: ReuseValidate, Fwd: "stale"}},
		"on errors, forbidden":          {aged(12*s, 10*s, 0, 3*s, cirque.MetaNoStale), ReuseDecision{Reuse: ReuseValidate, Fwd: "stale"}},
		"while revalidated and on errs": {aged(12*s, 10*s, 3*s, 3*s, 0), ReuseDecision{Reuse: ReuseWhileRevalidate, Fwd: "stale", Detail: "stale-while-revalidate", StaleIfError: true}},
	} {
		require.Equal(t, c.want, shared.Reuse(c.meta, nil, testNow, 0), name)
		require.Equal(t, c.want, shared.Reuse(c.meta, new(RequestDirectives), testNow, 0), name)
		require.Equal(t, c.want, shared.Reuse(c.meta, asked("x=y, no-transform, no-store"), testNow, 0), "%s, with directives that do not matter here", name)
	}
}

// RFC 9111 §5.2.1.
func TestReuseByTheRequestDirectives(t *testing.T) {
	const s = time.Second
	fresh := aged(5*s, 10*s, 0, 0, 0)
	stale := aged(12*s, 10*s, 0, 0, 0)
	for name, c := range map[string]struct {
		meta *cirque.CacheMeta
		asks string
		want ReuseDecision
	}{
		"no-cache, fresh": {fresh, "no-cache", ReuseDecision{Reuse: ReuseValidate, Fwd: "request", Detail: "request-no-cache"}},
		"no-cache, stale": {stale, "no-cache", ReuseDecision{Reuse: ReuseValidate, Fwd: "stale", Detail: "request-no-cache"}},
		"no-cache despite the rest": {fresh, "no-cache, max-stale, max-age=9999",
			ReuseDecision{Reuse: ReuseValidate, Fwd: "request", Detail: "request-no-cache"}},

		"max-age, old enough":   {fresh, "max-age=5", ReuseDecision{Reuse: ReuseFresh}},
		"max-age, too old":      {fresh, "max-age=4", ReuseDecision{Reuse: ReuseValidate, Fwd: "request", Detail: "request-max-age"}},
		"max-age, stale":        {stale, "max-age=99", ReuseDecision{Reuse: ReuseValidate, Fwd: "stale"}},
		"max-age, too old, too": {stale, "max-age=5", ReuseDecision{Reuse: ReuseValidate, Fwd: "stale", Detail: "request-max-age"}},
		"max-age=0":             {aged(0, 10*s, 0, 0, 0), "max-age=0", ReuseDecision{Reuse: ReuseValidate, Fwd: "request", Detail: "request-max-age"}},
		"max-age unreadable":    {fresh, "max-age=x", ReuseDecision{Reuse: ReuseValidate, Fwd: "request", Detail: "request-max-age"}},
		"max-age and max-stale, too old": {stale, "max-age=11, max-stale",
			ReuseDecision{Reuse: ReuseValidate, Fwd: "stale", Detail: "request-max-age"}},
		"max-age and max-stale": {stale, "max-age=12, max-stale", ReuseDecision{Reuse: ReuseStale, Detail: "request-max-stale"}},

		"min-fresh, just":    {fresh, "min-fresh=5", ReuseDecision{Reuse: ReuseFresh}},
		"min-fresh, no more": {fresh, "min-fresh=6", ReuseDecision{Reuse: ReuseValidate, Fwd: "request", Detail: "request-min-fresh"}},
		"min-fresh, stale":   {stale, "min-fresh=1", ReuseDecision{Reuse: ReuseValidate, Fwd: "stale", Detail: "request-min-fresh"}},
		"min-fresh before max-stale": {stale, "min-fresh=1, max-stale",
			ReuseDecision{Reuse: ReuseValidate, Fwd: "stale", Detail: "request-min-fresh"}},

		"max-stale, fresh":           {fresh, "max-stale=1", ReuseDecision{Reuse: ReuseFresh}},
		"max-stale, any":             {stale, "max-stale", ReuseDecision{Reuse: ReuseStale, Detail: "request-max-stale"}},
		"max-stale, just":            {stale, "max-stale=2", ReuseDecision{Reuse: ReuseStale, Detail: "request-max-stale"}},
		"max-stale, too stale":       {stale, "max-stale=1", ReuseDecision{Reuse: ReuseValidate, Fwd: "stale"}},
		"max-stale, must-revalidate": {aged(12*s, 10*s, 0, 0, cirque.MetaNoStale), "max-stale", ReuseDecision{Reuse: ReuseValidate, Fwd: "stale"}},
		"max-stale, no-cache": {aged(12*s, 10*s, 0, 0, cirque.MetaNoCache), "max-stale",
			ReuseDecision{Reuse: ReuseValidate, Fwd: "stale", Detail: "no-cache"}},
		"max-stale while revalidated": {aged(12*s, 10*s, 5*s, 0, 0), "max-stale",
			ReuseDecision{Reuse: ReuseWhileRevalidate, Fwd: "stale", Detail: "stale-while-revalidate"}},

		"max-age wants nothing stale": {aged(12*s, 10*s, 5*s, 0, 0), "max-age=99",
			ReuseDecision{Reuse: ReuseValidate, Fwd: "stale", Detail: "request-max-age"}},
		"max-age with max-stale is revalidated": {aged(12*s, 10*s, 5*s, 0, 0), "max-age=99, max-stale=5",
			ReuseDecision{Reuse: ReuseWhileRevalidate, Fwd: "stale", Detail: "stale-while-revalidate"}},
	} {
		require.Equal(t, c.want, shared.Reuse(c.meta, asked(c.asks), testNow, 0), name)
	}
}

// RFC 8246 §2 and §2.1.
func TestReuseImmutable(t *testing.T) {
	fresh := aged(5*time.Second, 10*time.Second, 0, 0, cirque.MetaImmutable)
	require.Equal(t, ReuseFresh, shared.Reuse(fresh, asked("max-age=0"), testNow, 0).Reuse)
	require.Equal(t, ReuseValidate, shared.Reuse(fresh, asked("no-cache"), testNow, 0).Reuse)
	require.Equal(t, ReuseValidate, shared.Reuse(fresh, asked("min-fresh=6"), testNow, 0).Reuse)
	stale := aged(12*time.Second, 10*time.Second, 0, 0, cirque.MetaImmutable)
	require.Equal(t, ReuseValidate, shared.Reuse(stale, asked("max-age=0"), testNow, 0).Reuse)
	require.Equal(t, ReuseValidate, shared.Reuse(stale, nil, testNow, 0).Reuse)
}

// RFC 5861 §4.
func TestStaleIfErrorOfTheRequest(t *testing.T) {
	const s = time.Second
	stale := aged(12*s, 10*s, 0, 0, 0)
	withOwn := aged(12*s, 10*s, 0, 3*s, 0)
	fresh := aged(5*s, 10*s, 0, 0, 0)
	for name, c := range map[string]struct {
		meta *cirque.CacheMeta
		asks string
		want bool
	}{
		"within":                          {stale, "stale-if-error=3", true},
		"at the end":                      {stale, "stale-if-error=2", false},
		"the response's is wider":         {withOwn, "stale-if-error=1", true},
		"must-revalidate":                 {aged(12*s, 10*s, 0, 9*s, cirque.MetaNoStale), "stale-if-error=3", false},
		"no-cache in the response":        {aged(12*s, 10*s, 0, 9*s, cirque.MetaNoCache), "stale-if-error=3", false},
		"no-cache in the request":         {withOwn, "no-cache", false},
		"no-cache but on errors":          {stale, "no-cache, stale-if-error=3", true},
		"max-age in the request":          {withOwn, "max-age=0", true},
		"max-age, no window":              {fresh, "max-age=0", false},
		"max-age on a fresh one, windows": {aged(5*s, 10*s, 0, 1*s, 0), "max-age=0", true},
	} {
		got := shared.Reuse(c.meta, asked(c.asks), testNow, 0)
		require.Equal(t, ReuseValidate, got.Reuse, name)
		require.Equal(t, c.want, got.StaleIfError, name)
	}
}

func TestReuseForced(t *testing.T) {
	const s = time.Second
	fresh := aged(5*s, 10*s, 9*s, 9*s, 0)
	gone := aged(99*s, 10*s, 0, 0, cirque.MetaNoCache|cirque.MetaNoStale)
	for _, rd := range []*RequestDirectives{nil, asked("max-stale"), asked("no-cache, stale-if-error=9")} {
		for forced, fwd := range map[ForcedFreshness]string{ForceExpired: "stale", ForceMiss: "miss"} {
			require.Equal(t, ReuseDecision{Reuse: ReuseValidate, Fwd: fwd, Detail: "forced"},
				shared.Reuse(fresh, rd, testNow, forced))
		}
		require.Equal(t, ReuseDecision{Reuse: ReuseFresh, Detail: "forced"}, shared.Reuse(gone, rd, testNow, ForceFresh))
	}
}

func TestReuseString(t *testing.T) {
	for r, want := range map[Reuse]string{
		ReuseFresh: "Fresh", ReuseStale: "Stale", ReuseWhileRevalidate: "WhileRevalidate", ReuseValidate: "Validate",
		0: "Reuse(?)", 9: "Reuse(?)",
	} {
		require.Equal(t, want, r.String())
	}
}

func TestReuseAllocatesNothing(t *testing.T) {
	fresh, stale := aged(1, 10, 0, 0, 0), aged(11, 10, 0, 0, 0)
	rd := asked("max-age=5")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		shared.Reuse(fresh, nil, testNow, 0)
		shared.Reuse(stale, nil, testNow, 0)
		shared.Reuse(fresh, rd, testNow, 0)
	}))
}

func BenchmarkReuse(b *testing.B) {
	fresh, stale := aged(1, 10, 0, 0, 0), aged(11, 10, 0, 0, 0)
	for name, c := range map[string]struct {
		meta *cirque.CacheMeta
		rd   *RequestDirectives
	}{
		"fresh":  {fresh, nil},
		"stale":  {stale, nil},
		"asking": {fresh, asked("max-age=5")},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				shared.Reuse(c.meta, c.rd, testNow, 0)
			}
		})
	}
}

// RFC 9111 §4, §5.2.2.4: requests that waited must not share a response that must be validated
// first.
func TestShareable(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct {
		response []string
		delay    time.Duration // from the request to the header
		after    time.Duration // from the header to the reuse
		want     bool
	}{
		"fresh":                                 {[]string{"Cache-Control: max-age=10"}, 0, 0, true},
		"stale since":                           {[]string{"Cache-Control: max-age=10"}, 0, 20 * s, true},
		"stale since, must-revalidate":          {[]string{"Cache-Control: max-age=10, must-revalidate"}, 0, 20 * s, false},
		"stale since, s-maxage":                 {[]string{"Cache-Control: s-maxage=10"}, 0, 20 * s, false},
		"fresh, must-revalidate":                {[]string{"Cache-Control: max-age=10, must-revalidate"}, 0, s, true},
		"stale by its delay":                    {[]string{"Cache-Control: max-age=10"}, 20 * s, 0, true},
		"stale by its delay, must-revalidate":   {[]string{"Cache-Control: max-age=10, must-revalidate"}, 20 * s, 0, false},
		"stale by its delay, dated when sent":   {[]string{"Cache-Control: max-age=10", "Date: " + at(-20*s)}, 20 * s, 0, true},
		"stale by its age":                      {[]string{"Cache-Control: max-age=10", "Age: 10"}, 0, 0, false},
		"stale by its age, and delayed":         {[]string{"Cache-Control: max-age=10", "Age: 10"}, 20 * s, 0, false},
		"stale by its date":                     {[]string{"Cache-Control: max-age=10", "Date: " + at(-20*s)}, 0, 0, false},
		"no lifetime":                           {[]string{"Cache-Control: max-age=0"}, 0, 0, false},
		"no lifetime, delayed":                  {[]string{"Cache-Control: max-age=0"}, 20 * s, 0, false},
		"no lifetime, but may be stale":         {[]string{"Cache-Control: max-age=0, stale-while-revalidate=60"}, 0, 0, false},
		"no shared lifetime":                    {[]string{"Cache-Control: s-maxage=0, max-age=10"}, 0, 0, false},
		"expired":                               {[]string{"Expires: " + at(-day)}, 0, 0, false},
		"no Cache-Control":                      {nil, 0, 0, false},
		"a heuristic":                           {[]string{"Last-Modified: " + at(-day)}, 0, 0, true},
		"no-cache":                              {[]string{"Cache-Control: no-cache"}, 0, 0, false},
		"no-cache, with a lifetime":             {[]string{"Cache-Control: no-cache, max-age=10"}, 0, 0, false},
		"no-cache, with a lifetime and delayed": {[]string{"Cache-Control: no-cache, max-age=10"}, 20 * s, 0, false},
		"no-cache of a field":                   {[]string{`Cache-Control: no-cache="a", max-age=10`}, 0, 0, true},
	} {
		x := get(append(c.response, `ETag: "a"`)...)
		x.RequestTime = x.ResponseTime.Add(-c.delay)
		require.Equal(t, c.want, Shareable(stored(t, shared, x), x.ResponseTime.Add(c.after)), name)
	}
}

// RFC 5861 §4.
func TestStaleMayStandInFor(t *testing.T) {
	for status := 100; status < 600; status++ {
		want := status == 500 || status == 502 || status == 503 || status == 504
		require.Equal(t, want, StaleMayStandInFor(status), status)
	}
}

func TestForcedFreshness(t *testing.T) {
	for forced, c := range map[ForcedFreshness]struct{ ofFresh, ofExpired cirque.HitStatus }{
		0:            {cirque.HitFresh, cirque.HitExpired},
		ForceExpired: {cirque.HitForceExpired, cirque.HitForceExpired},
		ForceMiss:    {cirque.HitForceMiss, cirque.HitForceMiss},
		ForceFresh:   {cirque.HitForceFresh, cirque.HitForceFresh},
		9:            {cirque.HitFresh, cirque.HitExpired},
	} {
		require.Equal(t, c.ofFresh, forced.HitStatus(true), forced)
		require.Equal(t, c.ofExpired, forced.HitStatus(false), forced)
	}
}
