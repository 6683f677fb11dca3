package rules

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What is stored tells where its lifetime came from.
func TestStoredFreshnessIsThatOfTheResponse(t *testing.T) {
	for _, fields := range [][]string{
		{"CDN-Cache-Control: max-age=1"}, {"Cache-Control: s-maxage=2"}, {"Cache-Control: max-age=3", "Age: 1"},
		{"Expires: " + at(4*time.Second)}, {"Last-Modified: " + at(-60*time.Second)},
	} {
		x := get(fields...)
		meta, refusal := shared.Store(x)
		require.Nil(t, refusal, fields)
		require.Equal(t, shared.Freshness(x), shared.StoredFreshness(meta), fields)
	}
}

// RFC 9111 §4.2.1: the first match counts.
func TestFreshnessLifetimeOrder(t *testing.T) {
	all := []string{
		"CDN-Cache-Control: max-age=1", "Cache-Control: s-maxage=2", "Cache-Control: max-age=3",
		"Expires: " + at(4*time.Second), "Last-Modified: " + at(-60*time.Second),
	}
	defaults := &Policy{Defaults: CacheMetaDefaults{FreshFor: func(int) time.Duration { return 5 * time.Second }}}
	for i, want := range []Freshness{
		{Lifetime: 1 * time.Second, Explicit: true, Source: "max-age", Field: "Cdn-Cache-Control"},
		{Lifetime: 2 * time.Second, Explicit: true, Source: "s-maxage", Field: "Cache-Control"},
		{Lifetime: 3 * time.Second, Explicit: true, Source: "max-age", Field: "Cache-Control"},
		{Lifetime: 4 * time.Second, Explicit: true, Source: "expires", Field: "Expires"},
		{Lifetime: 5 * time.Second, Heuristic: true, Source: "default"},
	} {
		require.Equal(t, want, defaults.Freshness(get(all[i:]...)), all[i])
	}
	require.Equal(t, Freshness{Lifetime: 6 * time.Second, Heuristic: true, Source: "heuristic", Field: "Last-Modified"}, shared.Freshness(get(all[4])))
	require.Equal(t, Freshness{}, shared.Freshness(get()))
	// RFC 9111 §5.2.2.10.
	require.Equal(t, "max-age", private.Freshness(get(all[1:]...)).Source)
}

func TestFreshnessLifetimeValues(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		want  time.Duration
	}{
		"max-age":                         {[]string{"Cache-Control: max-age=60"}, time.Minute},
		"leading zeros":                   {[]string{"Cache-Control: max-age=007"}, 7 * time.Second},
		"quoted":                          {[]string{`Cache-Control: max-age="60"`}, time.Minute},
		"2^31 - 1":                        {[]string{"Cache-Control: max-age=2147483647"}, maxDelta - time.Second},
		"2^31":                            {[]string{"Cache-Control: max-age=2147483648"}, maxDelta},
		"beyond 2^31":                     {[]string{"Cache-Control: max-age=2147483649"}, maxDelta},
		"beyond 2^64":                     {[]string{"Cache-Control: max-age=99999999999999999999"}, maxDelta},
		"negative":                        {[]string{"Cache-Control: max-age=-1"}, 0},
		"single quotes":                   {[]string{"Cache-Control: max-age='60'"}, 0},
		"fraction":                        {[]string{"Cache-Control: max-age=60.0"}, 0},
		"letters":                         {[]string{"Cache-Control: max-age=abc"}, 0},
		"letters behind":                  {[]string{"Cache-Control: max-age=60a"}, 0},
		"no value":                        {[]string{"Cache-Control: max-age"}, 0},
		"invalid, with Expires":           {[]string{"Cache-Control: max-age=x", "Expires: " + at(time.Hour)}, 0},
		"invalid, heuristics possible":    {[]string{"Cache-Control: max-age=x", "Last-Modified: " + at(-day)}, 0},
		"in another's quotes":             {[]string{`Cache-Control: x="max-age=60", max-age=5`}, 5 * time.Second},
		"first of two":                    {[]string{"Cache-Control: max-age=5, max-age=60"}, 5 * time.Second},
		"first of two lines":              {[]string{"Cache-Control: max-age=60", "Cache-Control: max-age=5"}, time.Minute},
		"Expires minus Date":              {[]string{"Expires: " + at(time.Hour), "Date: " + at(10*time.Minute)}, 50 * time.Minute},
		"Expires without Date":            {[]string{"Expires: " + at(time.Hour)}, time.Hour},
		"Expires with an invalid Date":    {[]string{"Expires: " + at(time.Hour), "Date: x"}, time.Hour},
		"Expires before Date":             {[]string{"Expires: " + at(-time.Hour), "Date: " + at(0)}, -time.Hour},
		"Expires: 0":                      {[]string{"Expires: 0"}, 0},
		"Expires: 0, heuristics possible": {[]string{"Expires: 0", "Last-Modified: " + at(-day)}, 0},
		"two Expires":                     {[]string{"Expires: " + at(time.Hour), "Expires: " + at(time.Hour)}, 0},
		"Expires in the year 9999":        {[]string{"Expires: Fri, 31 Dec 9999 23:59:59 GMT"}, maxDelta},
		"Expires in the year 1":           {[]string{"Expires: Mon, 01 Jan 0001 00:00:00 GMT"}, -maxDelta},
		"max-age and Expires: 0":          {[]string{"Cache-Control: max-age=60", "Expires: 0"}, time.Minute},
		"Pragma means nothing":            {[]string{"Cache-Control: max-age=60", "Pragma: no-cache"}, time.Minute},
	} {
		f := shared.Freshness(get(c.lines...))
		require.Equal(t, c.want, f.Lifetime, name)
		require.True(t, f.Explicit, name)
		require.False(t, f.Heuristic, name)
	}
}

// RFC 9111 §4.2.2.
func TestHeuristicFreshness(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		lines  []string
		want   time.Duration
	}{
		"a tenth":                  {200, []string{"Last-Modified: " + at(-100*time.Second)}, 10 * time.Second},
		"by the origin's clock":    {200, []string{"Last-Modified: " + at(-100*time.Second), "Date: " + at(-50*time.Second)}, 5 * time.Second},
		"24 hours":                 {200, []string{"Last-Modified: " + at(-10*day)}, day},
		"at most 24 hours":         {200, []string{"Last-Modified: " + at(-11*day)}, day},
		"in the future":            {200, []string{"Last-Modified: " + at(day)}, 0},
		"no date":                  {200, []string{"Last-Modified: yesterday"}, 0},
		"two dates":                {200, []string{"Last-Modified: " + at(-day), "Last-Modified: " + at(-day)}, 0},
		"without Last-Modified":    {200, []string{`ETag: "1"`}, 0},
		"public, any status":       {299, []string{"Cache-Control: public", "Last-Modified: " + at(-100*time.Second)}, 10 * time.Second},
		"private is not public":    {299, []string{"Cache-Control: private", "Last-Modified: " + at(-100*time.Second)}, 0},
		"must-revalidate is not":   {299, []string{"Cache-Control: must-revalidate", "Last-Modified: " + at(-100*time.Second)}, 0},
		"public and Last-Modified": {200, []string{"Cache-Control: public", "Last-Modified: " + at(-100*time.Second)}, 10 * time.Second},
	} {
		f := shared.Freshness(get(c.lines...).withStatus(c.status))
		require.Equal(t, c.want, f.Lifetime, name)
		require.Equal(t, c.want > 0, f.Heuristic, name)
		require.False(t, f.Explicit, name)
		require.Equal(t, c.want > 0, f.Source == "heuristic", name)
	}
}

// A private cache may guess for any status, but only if the response says private (RFC 9111
// §5.2.2.7).
func TestHeuristicFreshnessOfPrivate(t *testing.T) {
	private, modified := &Policy{Private: true}, "Last-Modified: "+at(-100*time.Second)
	require.True(t, private.Freshness(get("Cache-Control: private", modified).withStatus(299)).Heuristic)
	require.False(t, private.Freshness(get(modified).withStatus(299)).Heuristic)
}

// RFC 9110 §15.1.
func TestHeuristicallyCacheableStatuses(t *testing.T) {
	allowed := map[int]bool{
		200: true, 203: true, 204: true, 206: true, 300: true, 301: true, 308: true, 404: true, 405: true, 410: true,
		414: true, 501: true,
	}
	for status := 200; status <= 599; status++ {
		f := shared.Freshness(get("Last-Modified: " + at(-day)).withStatus(status))
		require.Equal(t, allowed[status], f.Heuristic, status)
	}
}

func TestDefaultFreshnessIsByStatus(t *testing.T) {
	p := &Policy{Defaults: CacheMetaDefaults{FreshFor: func(status int) time.Duration {
		if status == 503 {
			return time.Second
		}
		return -1
	}}}
	require.Equal(t, time.Second, p.Freshness(get().withStatus(503)).Lifetime)
	require.Equal(t, Freshness{}, p.Freshness(get()))
	// A negative default means none: then the heuristic applies.
	require.Equal(t, 10*time.Second, p.Freshness(get("Last-Modified: "+at(-100*time.Second))).Lifetime)
}

// RFC 9111 §4.2.3 and §5.1.
func TestInitialAge(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		delay time.Duration
		want  time.Duration
	}{
		"none":                       {nil, 0, 0},
		"Age":                        {[]string{"Age: 30"}, 0, 30 * time.Second},
		"response delay":             {[]string{"Age: 30"}, 5 * time.Second, 35 * time.Second},
		"response delay alone":       {nil, 5 * time.Second, 5 * time.Second},
		"a clock turned back":        {nil, -5 * time.Second, 0},
		"apparent age":               {[]string{"Date: " + at(-time.Minute)}, 0, time.Minute},
		"apparent age greater":       {[]string{"Date: " + at(-time.Minute), "Age: 30"}, 5 * time.Second, time.Minute},
		"apparent age less":          {[]string{"Date: " + at(-time.Minute), "Age: 90"}, 5 * time.Second, 95 * time.Second},
		"Date in the future":         {[]string{"Date: " + at(time.Minute)}, 0, 0},
		"Date that is not a date":    {[]string{"Date: x"}, 0, 0},
		"Date in the year 1":         {[]string{"Date: Mon, 01 Jan 0001 00:00:00 GMT"}, 0, maxDelta},
		"first of several":           {[]string{"Age: 5, 60"}, 0, 5 * time.Second},
		"first of several, 0":        {[]string{"Age: 0, 60"}, 0, 0},
		"first of several lines":     {[]string{"Age: 60", "Age: 5"}, 0, time.Minute},
		"first of several is none":   {[]string{"Age: a", "Age: 5"}, 0, 0},
		"later is none":              {[]string{"Age: 5", "Age: a"}, 0, 5 * time.Second},
		"whitespace":                 {[]string{"Age:  5\t"}, 0, 5 * time.Second},
		"empty":                      {[]string{"Age:"}, 0, 0},
		"letters":                    {[]string{"Age: abc"}, 0, 0},
		"letters behind":             {[]string{"Age: 60a"}, 0, 0},
		"letters before":             {[]string{"Age: a60"}, 0, 0},
		"negative":                   {[]string{"Age: -60"}, 0, 0},
		"fraction":                   {[]string{"Age: 60.0"}, 0, 0},
		"parameter":                  {[]string{"Age: 60;a=1"}, 0, 0},
		"2^31":                       {[]string{"Age: 2147483648"}, 0, maxDelta},
		"beyond 2^31":                {[]string{"Age: 99999999999"}, 0, maxDelta},
		"beyond 2^64":                {[]string{"Age: 99999999999999999999"}, 0, maxDelta},
		"beyond 2^31 with the delay": {[]string{"Age: 2147483648"}, time.Second, maxDelta},
	} {
		x := get(c.lines...)
		x.RequestTime = testNow.Add(-c.delay)
		require.Equal(t, c.want, shared.Freshness(x).InitialAge, name)
	}
}

// RFC 9111 §4.2: fresh while the lifetime exceeds the age.
func TestFreshAtTheEdge(t *testing.T) {
	require.True(t, shared.Freshness(get("Cache-Control: max-age=60", "Age: 59")).Fresh())
	require.False(t, shared.Freshness(get("Cache-Control: max-age=60", "Age: 60")).Fresh())
	require.False(t, shared.Freshness(get("Cache-Control: max-age=2147483648", "Age: 2147483648")).Fresh())
}

func TestCacheMetaDefaults(t *testing.T) {
	var none CacheMetaDefaults
	require.Zero(t, none.FreshDuration(200))
	d := CacheMetaDefaults{FreshFor: func(status int) time.Duration {
		return map[int]time.Duration{200: time.Minute, 404: -1}[status]
	}}
	require.Equal(t, time.Minute, d.FreshDuration(200))
	require.Equal(t, time.Minute, d.FreshDuration(http.StatusNotModified), "304 freshens a 200")
	require.Zero(t, d.FreshDuration(404))
	require.Zero(t, d.FreshDuration(500))
}
