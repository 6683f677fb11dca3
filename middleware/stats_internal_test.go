package middleware

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/stats"
)

func TestWaitsCountUnderEveryStatus(t *testing.T) {
	n := newCounters()
	var want []string
	for status := cirque.LockWaiting; !strings.HasPrefix(status.String(), "LockStatus("); status++ {
		n.lockWait(status, time.Second)
		want = append(want, status.String())
	}
	var s stats.Snapshot
	s.Requests = map[stats.Door]map[stats.Result]uint64{}
	s.FirstByte, s.Duration = map[stats.Result]stats.Histogram{}, map[stats.Result]stats.Histogram{}
	s.Bytes = map[stats.Result]uint64{}
	n.addTo(&s)
	var got []string
	for _, waits := range s.LockWaits {
		require.Equal(t, uint64(1), waits.Time.Count)
		got = append(got, waits.Status)
	}
	require.Equal(t, want, got)
}
