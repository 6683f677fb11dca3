package middleware

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnderWayWaitsForWhatHasBegunBefore(t *testing.T) {
	var u underWay
	over := func(ended <-chan struct{}) bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	}
	require.True(t, over(u.ended()), "nothing is under way")

	first, second := u.begin(), u.begin()
	both := u.ended()
	third := u.begin()
	all := u.ended()
	u.end(third)
	require.False(t, over(both), "an operation that began later must not be waited for")
	u.end(first)
	require.False(t, over(both))
	u.end(second)
	require.True(t, over(both))
	require.True(t, over(all))

	fourth := u.begin()
	u.close()
	require.True(t, u.closed())
	require.Zero(t, u.begin())
	last := u.ended()
	u.end(0)
	require.False(t, over(last))
	u.end(fourth)
	require.True(t, over(last))
	require.Empty(t, u.waits)
}
