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
	require.NotEqual(t, mark.count, log.mark(mine).count)
	require.False(t, log.purgedSince(mine, log.mark(mine)))
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
