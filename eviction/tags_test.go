package eviction

import (
	"strconv"
	"testing"
	"time"

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
	require.Equal(t, "ann", ts.text(ann), "the tag is gone although one entry has it")
	ts.release(ann)
	require.Equal(t, ann, ts.acquire("eve"), "the number is not reused")
	require.Equal(t, "eve", ts.text(ann))
	require.Equal(t, "bob", ts.text(bob))
	require.Len(t, ts.mu.tags, 2)
}

func TestTagsGoWithTheirEntries(t *testing.T) {
	f, err := NewFIFO(Config{Limit: 1000})
	require.NoError(t, err)
	for i, key := range testKeys {
		key.UserTag = strconv.Itoa(i)
		f.Admit(key, 100, time.Time{}, 0)
		key.UserTag += "'"
		f.Admit(key, 100, time.Time{}, 0)
		require.Len(t, f.tags.mu.numbers, f.TotalItems())
	}
	f.Remove(testKeys[63])
	f.Evict(800)
	require.Len(t, f.tags.mu.numbers, 1)
}
