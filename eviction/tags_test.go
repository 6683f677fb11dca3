package eviction

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTags(t *testing.T) {
	var ts tags
	require.Zero(t, ts.acquire(""))
	require.Empty(t, ts.text(0))
	ts.release(0)

	ann, bob := ts.acquire("ann"), ts.acquire("bob")
	require.NotEqual(t, ann, bob)
	require.Equal(t, ann, ts.acquire("ann"))
	ts.release(ann)
	require.Equal(t, "ann", ts.text(ann), "one holder is left")
	ts.release(ann)
	require.Equal(t, ann, ts.acquire("eve"), "a number that is not held is reused")
	require.Equal(t, "eve", ts.text(ann))
	require.Equal(t, "bob", ts.text(bob))
	require.Len(t, ts.mu.tags, 2)
}
