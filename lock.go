package cirque

import (
	"runtime"
	"sync"
	"time"
)

// CacheKeyLock lets one request at a time fill a key while others wait for it. It does not exclude
// a second writer: after a timeout several may write the same key, and the Storage must cope with
// that.
//
// Implementations are safe for concurrent use. Only the lock that [NewCacheLock] returns makes
// permits and read locks; another implementation wraps it and decides which calls it passes on.
// Every writer gets its permit from Lock.
type CacheKeyLock interface {
	// Lock makes the caller the writer of key, or a reader that may wait for the writer. Exactly
	// one of its results is not nil. staleWriter says that this writer would revalidate a stale
	// entry. The others may then serve the stale entry instead of waiting.
	//
	// A writer must call Release. A reader need not call anything.
	Lock(key CacheKey, staleWriter bool) (write *WritePermit, read *ReadLock)

	// Release ends the permit's turn. After LockDone or LockGiveUp all waiters wake. After any
	// other status the turn goes to one of them. Release does nothing for a nil permit, for a
	// permit that was released before, and for one whose turn ended by its age.
	Release(key CacheKey, permit *WritePermit, status LockStatus)
}

// WritePermit is a writer's turn at a key. It may move between goroutines. When the garbage
// collector finds that nobody holds it any more, it counts as released with LockDangling.
type WritePermit struct {
	lock    *ReadLock
	turn    uint64
	cleanup runtime.Cleanup
}

// awaited reports whether somebody waits for the end of the permit's turn.
func (p *WritePermit) awaited() bool {
	p.lock.shard.mu.Lock()
	defer p.lock.shard.mu.Unlock()
	return p.lock.turn == p.turn && p.lock.waiters > 0
}

const (
	defaultAgeTimeout = 30 * time.Second

	// electionGrace is how long the turn is kept for the elected waiter; then all waiters wake.
	// Most elected waiters call Lock at once or after one more lookup. Some never do: they found
	// the response in that lookup, or their client left.
	electionGrace = 100 * time.Millisecond

	lockShards = 64
)

// cacheLock is the CacheKeyLock of one process.
//
// The waiters of a key queue in one channel, in order of arrival. When a writer fails, one waiter
// is elected: it wakes and should call Lock, while the others sleep until the next writer ends. If
// all woke each time, n waiters at a failing origin would wake about n² times. A newcomer who calls
// Lock before the elected waiter gets the turn, and the elected waiter queues again.
//
// A lock starts no goroutine. A key without waiters has neither channel nor timer.
type cacheLock struct {
	ageTimeout time.Duration // negative: none
	shards     [lockShards]lockShard
}

type lockShard struct {
	mu struct {
		sync.Mutex
		keys map[HashBinary]*ReadLock // those that are not over
	}
}

// NewCacheLock returns the CacheKeyLock for one process. It distinguishes keys by
// [CacheKey.Combined], and a status that no writer can report counts as LockTransientError.
//
// ageTimeout bounds a writer's turn. After it the waiters get a new writer, while the old one may
// still finish its work. Zero means 30 seconds, a negative value means no bound.
func NewCacheLock(ageTimeout time.Duration) CacheKeyLock {
	l := &cacheLock{ageTimeout: ageTimeout}
	if l.ageTimeout == 0 {
		l.ageTimeout = defaultAgeTimeout
	}
	for i := range l.shards {
		l.shards[i].mu.keys = make(map[HashBinary]*ReadLock)
	}
	return l
}

// Lock implements CacheKeyLock.
func (l *cacheLock) Lock(key CacheKey, staleWriter bool) (*WritePermit, *ReadLock) {
	hash := key.Combined()
	shard := &l.shards[hash[0]%lockShards]
	now := time.Now()

	shard.mu.Lock()
	r := shard.mu.keys[hash]
	if r == nil {
		r = &ReadLock{shard: shard, hash: hash, ageTimeout: l.ageTimeout}
		shard.mu.keys[hash] = r
	} else if r.heldAt(now) {
		shard.mu.Unlock()
		return nil, r
	}
	permit := r.begin(staleWriter, now)
	shard.mu.Unlock()

	permit.cleanup = runtime.AddCleanup(permit, lostTurn.end, lostTurn{r, permit.turn})
	return permit, nil
}

// Release implements CacheKeyLock.
func (l *cacheLock) Release(_ CacheKey, permit *WritePermit, status LockStatus) {
	if permit == nil {
		return
	}
	switch status {
	case LockDone, LockGiveUp, LockDangling, LockUpstreamError:
	default:
		status = LockTransientError
	}
	permit.lock.end(permit.turn, status)
	permit.cleanup.Stop()
	runtime.KeepAlive(permit) // or the cleanup could run during the release
}

// lostTurn ends the turn of a permit that nobody holds any more. It must not refer to the permit
// itself.
type lostTurn struct {
	lock *ReadLock
	turn uint64
}

func (t lostTurn) end() { t.lock.end(t.turn, LockDangling) }

// Held reports whether Lock would return a ReadLock now, and whether the writer revalidates a stale
// entry.
func (l *cacheLock) Held(key CacheKey) (held, staleWriter bool) {
	hash := key.Combined()
	shard := &l.shards[hash[0]%lockShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	r := shard.mu.keys[hash]
	if r == nil || !r.heldAt(time.Now()) {
		return false, false
	}
	return true, r.stale
}
