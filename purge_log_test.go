package cirque

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// purge notes the beginning and the end of a purge.
func (l *purgeLog) purge(key HashBinary) {
	l.begin(key)
	l.end(key)
}

func TestPurgeLogPurgedSince(t *testing.T) {
	var log purgeLog
	mine, other := NewCacheKey("", "mine", "").PrimaryHash(), NewCacheKey("", "other", "").PrimaryHash()
	mark := log.mark(mine)
	require.False(t, log.purgedSince(mine, mark))
	for range len(log.recent)/2 - 1 {
		log.purge(other)
	}
	require.False(t, log.purgedSince(mine, mark), "purges of other keys do not count")
	require.True(t, log.purgedSince(other, mark))
	log.purge(other)
	require.True(t, log.purgedSince(mine, mark), "more than is remembered counts as purged")

	mark = log.mark(mine)
	log.purge(mine)
	require.True(t, log.purgedSince(mine, mark))
	require.False(t, log.purgedSince(mine, log.mark(mine)))
	require.Empty(t, log.underWay)
}

// A walk that begins during a purge counts as one from before it.
func TestPurgeLogCountsAPurgeUnderWay(t *testing.T) {
	var log purgeLog
	mine, other := NewCacheKey("", "mine", "").PrimaryHash(), NewCacheKey("", "other", "").PrimaryHash()
	log.begin(mine)
	log.begin(mine)
	mark := log.mark(mine)
	require.True(t, log.purgedSince(mine, mark))
	require.False(t, log.purgedSince(other, log.mark(other)))
	log.end(mine)
	require.True(t, log.purgedSince(mine, log.mark(mine)), "the other purge is under way")
	log.end(mine)
	require.True(t, log.purgedSince(mine, mark))
	require.NotEqual(t, mark.latest, log.mark(mine).latest)
	require.False(t, log.purgedSince(mine, log.mark(mine)))
	require.Zero(t, log.running.Load())
}

// Walks before and after a purge of their key have different marks. Walks of other keys have not,
// however many keys are purged.
func TestPurgeLogDistinguishesWalksBeforeAndAfterAPurge(t *testing.T) {
	var log purgeLog
	mine, untouched := NewCacheKey("", "mine", "").PrimaryHash(), NewCacheKey("", "untouched", "").PrimaryHash()
	before := log.mark(mine).latest
	log.purge(mine)
	after := log.mark(mine).latest
	require.NotEqual(t, before, after)
	for n := range 100 {
		log.purge(NewCacheKey("", fmt.Sprint(n), "").PrimaryHash())
	}
	require.Equal(t, after, log.mark(mine).latest)
	for n := range 4 * len(log.latest) * len(log.latest[0]) {
		log.purge(NewCacheKey("", fmt.Sprint(n), "").PrimaryHash())
		require.Zero(t, log.mark(untouched).latest)
	}
	log.purge(mine)
	require.Greater(t, log.mark(mine).latest, after)
}

func TestPurgeLogCountSince(t *testing.T) {
	var log purgeLog
	mine, other := NewCacheKey("", "mine", "").PrimaryHash(), NewCacheKey("", "other", "").PrimaryHash()
	log.begin(mine)
	amid := log.mark(mine)
	require.Equal(t, 1, log.countSince(mine, amid), "under way")
	log.end(mine)
	require.Equal(t, 1, log.countSince(mine, amid))
	after := log.mark(mine)
	require.Zero(t, log.countSince(mine, after))
	log.purge(other)
	log.purge(mine)
	require.Equal(t, 1, log.countSince(mine, after))
	require.Equal(t, 2, log.countSince(mine, amid))
	log.begin(mine)
	require.Equal(t, 2, log.countSince(mine, after))
	log.end(mine)
	require.Equal(t, 2, log.countSince(mine, after))
	for range len(log.recent) {
		log.purge(other)
	}
	require.Greater(t, log.countSince(mine, after), 1000, "more than are remembered")
}

func TestPurgeLogUnderConcurrency(t *testing.T) {
	var log purgeLog
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			key := NewCacheKey("", fmt.Sprint(i), "").PrimaryHash()
			for range 2000 {
				mark := log.mark(key)
				if log.purgedSince(key, mark) && log.noted.Load()-mark.noted < uint64(len(log.recent)) {
					t.Error("nobody else purges this key")
				}
				log.purge(key)
				if !log.purgedSince(key, mark) {
					t.Error("its own purge went unseen")
				}
			}
		})
	}
	wg.Wait()
}
