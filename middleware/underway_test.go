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

	first, second := u.enter(), u.enter()
	both := u.ended()
	third := u.enter()
	all := u.ended()
	u.leave(third)
	require.False(t, over(both), "an operation that began later must not be waited for")
	u.leave(first)
	require.False(t, over(both))
	u.leave(second)
	require.True(t, over(both))
	require.True(t, over(all))

	fourth := u.enter()
	u.close()
	require.True(t, u.closed())
	require.Zero(t, u.enter())
	last := u.ended()
	u.leave(0)
	require.False(t, over(last))
	u.leave(fourth)
	require.True(t, over(last))
	require.Empty(t, u.waits)
}
