package middleware

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOutcomesAreReadFromCacheStatus(t *testing.T) {
	header := http.Header{"Cache-Status": {
		`"far away"; fwd=stale; fwd-status=304; ttl=-3`,
		`Cirque; fwd=uri-miss; fwd-status=200; stored; collapsed; ttl=30; key="a%20b"; detail=superseded, Edge; hit; ttl=7`,
	}}
	require.Equal(t, []Outcome{
		{Cache: "far away", Fwd: "stale", FwdStatus: 304, TTL: -3 * time.Second, HasTTL: true},
		{
			Cache: "Cirque", Fwd: "uri-miss", FwdStatus: 200, Stored: true, Collapsed: true,
			TTL: 30 * time.Second, HasTTL: true, Key: "a%20b", Detail: "superseded",
		},
		{Cache: "Edge", Hit: true, TTL: 7 * time.Second, HasTTL: true},
	}, Outcomes(header))

	cache, err := New(Config{})
	require.NoError(t, err)
	defer cache.Close(t.Context())
	o, ok := cache.Outcome(header)
	require.True(t, ok)
	require.Equal(t, "superseded", o.Detail)
	_, ok = cache.Outcome(http.Header{"Cache-Status": {"Edge; hit"}})
	require.False(t, ok)
}

func TestNothingIsReadFromWhatIsNoCacheStatus(t *testing.T) {
	require.Nil(t, Outcomes(http.Header{}))
	require.Nil(t, Outcomes(http.Header{"Cache-Status": {"Edge; hit; ;"}}))
	require.Nil(t, Outcomes(http.Header{"Cache-Status": {"((("}}))
	require.Equal(t, []Outcome{{Cache: "Edge"}}, Outcomes(http.Header{"Cache-Status": {"Edge; hit=3; fwd=1; ttl=soon; key=?1, (a b)"}}))
}
