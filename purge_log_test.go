package cirque

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPurgeLogKnowsWhatWasPurgedSince(t *testing.T) {
	var log purgeLog
	mine, other := NewCacheKey("", "mine", ""), NewCacheKey("", "other", "")
	mark := log.mark(mine)
	require.False(t, log.purgedSince(mine, mark))
	for range len(log.recent) - 1 {
		log.note(other)
	}
	require.False(t, log.purgedSince(mine, mark), "other keys' purges are no news")
	require.True(t, log.purgedSince(other, mark))
	log.note(other)
	require.True(t, log.purgedSince(mine, mark), "more than is remembered counts as purged")

	mark = log.mark(mine)
	log.note(mine)
	require.True(t, log.purgedSince(mine, mark))
	require.False(t, log.purgedSince(mine, log.mark(mine)))
}

// Those who come before and after a purge of their key are told apart, and those of other keys are not, however many are
// purged.
func TestPurgeLogTellsTheOnesBeforeAPurgeFromThoseAfter(t *testing.T) {
	var log purgeLog
	mine, untouched := NewCacheKey("", "mine", ""), NewCacheKey("", "untouched", "")
	before := log.mark(mine).latest
	log.note(mine)
	after := log.mark(mine).latest
	require.NotEqual(t, before, after)
	for n := range 100 {
		log.note(NewCacheKey("", fmt.Sprint(n), ""))
	}
	require.Equal(t, after, log.mark(mine).latest)
	for n := range 4 * len(log.latest) * len(log.latest[0]) {
		log.note(NewCacheKey("", fmt.Sprint(n), ""))
		require.Zero(t, log.mark(untouched).latest)
	}
	log.note(mine)
	require.Greater(t, log.mark(mine).latest, after)
}

func TestPurgeLogUnderConcurrency(t *testing.T) {
	var log purgeLog
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			key := NewCacheKey("", fmt.Sprint(i), "")
			for range 2000 {
				mark := log.mark(key)
				if log.purgedSince(key, mark) && log.noted.Load()-mark.noted < uint64(len(log.recent)) {
					t.Error("nobody else purges this key")
				}
				log.note(key)
				if !log.purgedSince(key, mark) {
					t.Error("its own purge went unseen")
				}
			}
		})
	}
	wg.Wait()
}
