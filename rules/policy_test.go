package rules

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// RFC 9213 §2.2.
func TestTargetedFieldReplacesCacheControlAndExpires(t *testing.T) {
	x := get("CDN-Cache-Control: max-age=600", "Cache-Control: no-store", "Expires: 0")
	require.Equal(t, 10*time.Minute, shared.Freshness(x).Lifetime)
	require.False(t, stored(t, shared, x).Has(cirque.MetaNoCache))

	// Neither Cache-Control nor Expires applies, so there is no freshness.
	x = get("CDN-Cache-Control: none", "Cache-Control: max-age=60", "Expires: "+at(time.Hour))
	require.Equal(t, Freshness{}, shared.Freshness(x))
}

func TestTargetedFieldThatIsNotADictionaryIsIgnored(t *testing.T) {
	for name, field := range map[string]string{
		"empty":       "CDN-Cache-Control:",
		"blank":       "CDN-Cache-Control:  ",
		"upper case":  "CDN-Cache-Control: MAX-AGE=600",
		"missing key": "CDN-Cache-Control: max-age=600, =1",
		"open quote":  `CDN-Cache-Control: max-age=600, a="b`,
	} {
		x := get(field, "Cache-Control: max-age=60")
		require.Equal(t, time.Minute, shared.Freshness(x).Lifetime, name)
	}
}

func TestTargetList(t *testing.T) {
	x := get("Mine-Cache-Control: max-age=3", "CDN-Cache-Control: max-age=2", "Cache-Control: max-age=1")
	for name, c := range map[string]struct {
		policy Policy
		want   time.Duration
	}{
		"of a shared cache":        {Policy{}, 2 * time.Second},
		"of a private cache":       {Policy{Private: true}, time.Second},
		"in order":                 {Policy{TargetedFields: []string{"Mine-Cache-Control", "CDN-Cache-Control"}}, 3 * time.Second},
		"in the other order":       {Policy{TargetedFields: []string{"cdn-cache-control", "Mine-Cache-Control"}}, 2 * time.Second},
		"first absent":             {Policy{TargetedFields: []string{"Yours-Cache-Control", "Mine-Cache-Control"}}, 3 * time.Second},
		"empty":                    {Policy{TargetedFields: []string{}}, time.Second},
		"given to a private cache": {Policy{Private: true, TargetedFields: []string{"Mine-Cache-Control"}}, 3 * time.Second},
	} {
		require.Equal(t, c.want, c.policy.Freshness(x).Lifetime, name)
	}
}

func TestTargetedDirectivesMeanTheSameAsInCacheControl(t *testing.T) {
	for field, detail := range map[string]string{
		"CDN-Cache-Control: max-age=60, no-store": "no-store",
		"CDN-Cache-Control: max-age=60, private":  "private",
		"CDN-Cache-Control: max-age=60, no-cache": "no-cache",
	} {
		_, refusal := shared.Store(get(field))
		require.NotNil(t, refusal, field)
		require.Equal(t, detail, refusal.Detail, field)
	}
	require.True(t, stored(t, shared, get("CDN-Cache-Control: max-age=60, must-revalidate")).Has(cirque.MetaNoStale))
}

func TestFractionalSeconds(t *testing.T) {
	x := get("Cache-Control: max-age=1.5").withRequest("Cache-Control: max-age=0.5")
	require.Zero(t, shared.Freshness(x).Lifetime)
	p := Policy{FractionalSeconds: true}
	require.Equal(t, 1500*time.Millisecond, p.Freshness(x).Lifetime)
	require.Equal(t, 500*time.Millisecond, p.RequestDirectives(x.Request.Header).MaxAge.Duration)
}
