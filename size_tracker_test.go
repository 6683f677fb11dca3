package cirque

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSizeTrackerCountsBeyondTheMaximum(t *testing.T) {
	var tracker sizeTracker
	require.True(t, tracker.add(1<<40), "no maximum")
	tracker.max = 1<<40 + 1
	require.True(t, tracker.add(1), "the maximum itself")
	require.False(t, tracker.add(1))
	require.Equal(t, int64(1<<40+2), tracker.seen)
}
