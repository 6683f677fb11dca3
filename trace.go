package cirque

import (
	"context"
	"sync/atomic"
	"time"
)

// CacheTrace is a set of hooks that see one walk, in the manner of net/http/httptrace. Any of them
// may be nil. A nil hook costs nothing.
//
// Hooks run where the event happens, so they should be quick and must not panic. They must leave
// purges to other goroutines, because a purge may wait for the very write that called the hook.
// They may run concurrently, and after the request was answered: a fill and a background
// revalidation belong to the cache, and report to the trace in the context of the request that
// began them. Requests that read along with a fill see a hit or a lock wait of their own.
//
// A CacheTrace must not change once it is in use. It may serve any number of requests.
type CacheTrace struct {
	// LookupDone is called after each lookup in the Storage: for a response that varies, once for
	// the vary record (MetaVaryRecord is among the flags) and once for the variant.
	LookupDone func(LookupInfo)

	// Hit is called when a usable stored response was found, fresh or stale.
	Hit func(HitInfo)

	// Miss is called when nothing usable was found.
	Miss func(MissInfo)

	// LockWait is called when a wait for another request's fill has ended.
	LockWait func(LockWaitInfo)

	// FillStart is called when a fill begins, FillDone when it has ended, with or without success.
	FillStart func(FillInfo)
	FillDone  func(FillInfo)

	// Evicted is called for each entry that left the Storage because this request's response needed
	// the room. Storages that make room by themselves report it through [Budget.ReserveFor], if
	// they know which request needed it.
	Evicted func(EvictionInfo)

	// Purged is called when a purge has ended.
	Purged func(PurgeInfo)
}

// ResponseInfo describes a stored response, by its CacheMeta. It is zero if there is none.
type ResponseInfo struct {
	StatusCode  int
	Flags       MetaFlags
	Created     time.Time // when it was first stored
	Epoch       time.Time // what the age counts from (RFC 9111 §4.2.3)
	FreshUntil  time.Time // end of the freshness lifetime (RFC 9111 §4.2)
	HeaderBytes int       // stored size of the header section
}

// LookupInfo describes one lookup.
type LookupInfo struct {
	Key      CacheKey
	Response ResponseInfo
	Duration time.Duration
	Err      error // nil: found; ErrNotFound: not found; else the Storage failed
}

// HitInfo describes a hit.
type HitInfo struct {
	Key      CacheKey
	Phase    CachePhase // PhaseHit or PhaseStale
	Status   HitStatus
	Response ResponseInfo
}

// MissInfo names the key for which nothing was found.
type MissInfo struct {
	Key CacheKey
}

// LockWaitInfo describes one wait.
type LockWaitInfo struct {
	Key      CacheKey
	Status   LockStatus
	Duration time.Duration
}

// FillInfo describes one fill. At its start only Key and Response are set.
type FillInfo struct {
	Key      CacheKey
	Response ResponseInfo
	Size     int64         // body bytes received
	Duration time.Duration // since the start
	Reason   NoCacheReason // why nothing was stored; empty if it was stored
	Err      error         // from the Storage; ErrAborted if the body broke off
}

// EvictionInfo describes one eviction.
type EvictionInfo struct {
	Key CompactCacheKey
	Err error // from the Storage; ErrNotFound: the entry was gone already
}

// PurgeInfo describes one purge.
type PurgeInfo struct {
	Key      CacheKey
	Duration time.Duration
	Err      error // from the Storage; ErrNotFound: there was nothing
}

type cacheTraceKey struct{}

// WithCacheTrace returns a context whose requests report to trace, and then to the trace that ctx
// has already, if any. A nil trace adds nothing. Neither trace is changed.
func WithCacheTrace(ctx context.Context, trace *CacheTrace) context.Context {
	if trace == nil {
		return ctx
	}
	if earlier := ContextCacheTrace(ctx); earlier != nil {
		trace = &CacheTrace{
			LookupDone: inTurn(trace.LookupDone, earlier.LookupDone),
			Hit:        inTurn(trace.Hit, earlier.Hit),
			Miss:       inTurn(trace.Miss, earlier.Miss),
			LockWait:   inTurn(trace.LockWait, earlier.LockWait),
			FillStart:  inTurn(trace.FillStart, earlier.FillStart),
			FillDone:   inTurn(trace.FillDone, earlier.FillDone),
			Evicted:    inTurn(trace.Evicted, earlier.Evicted),
			Purged:     inTurn(trace.Purged, earlier.Purged),
		}
	}
	return withTrace(ctx, trace)
}

// anyTrace is false while no context has a trace. Then ContextCacheTrace need not search the
// context, which in a server is a chain of several.
var anyTrace atomic.Bool

func withTrace(ctx context.Context, trace *CacheTrace) context.Context {
	anyTrace.Store(true)
	return context.WithValue(ctx, cacheTraceKey{}, trace)
}

// ContextCacheTrace returns the trace that ctx has, or nil.
func ContextCacheTrace(ctx context.Context) *CacheTrace {
	if !anyTrace.Load() {
		return nil
	}
	trace, _ := ctx.Value(cacheTraceKey{}).(*CacheTrace)
	return trace
}

// in returns ctx with the trace, so that a Storage finds it there.
func (t *CacheTrace) in(ctx context.Context) context.Context {
	if t == nil || t == ContextCacheTrace(ctx) {
		return ctx
	}
	return withTrace(ctx, t)
}

func inTurn[Info any](first, second func(Info)) func(Info) {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(info Info) {
		first(info)
		second(info)
	}
}

// The methods below report an event. They may be called on a nil trace.

func (t *CacheTrace) lookupDone(key *CacheKey, meta *CacheMeta, spent time.Duration, err error) {
	if t != nil && t.LookupDone != nil {
		t.LookupDone(LookupInfo{Key: *key, Response: responseInfo(meta), Duration: spent, Err: err})
	}
}

func (t *CacheTrace) hit(key *CacheKey, phase CachePhase, status HitStatus, meta *CacheMeta) {
	if t != nil && t.Hit != nil {
		t.Hit(HitInfo{Key: *key, Phase: phase, Status: status, Response: responseInfo(meta)})
	}
}

func (t *CacheTrace) miss(key *CacheKey) {
	if t != nil && t.Miss != nil {
		t.Miss(MissInfo{Key: *key})
	}
}

func (t *CacheTrace) lockWait(key CacheKey, status LockStatus, spent time.Duration) {
	if t != nil && t.LockWait != nil {
		t.LockWait(LockWaitInfo{Key: key, Status: status, Duration: spent})
	}
}

func (t *CacheTrace) fillStart(key CacheKey, meta *CacheMeta) {
	if t != nil && t.FillStart != nil {
		t.FillStart(FillInfo{Key: key, Response: responseInfo(meta)})
	}
}

func (t *CacheTrace) fillDone(key CacheKey, meta *CacheMeta, size int64, spent time.Duration, reason NoCacheReason, err error) {
	if t != nil && t.FillDone != nil {
		t.FillDone(FillInfo{
			Key: key, Response: responseInfo(meta), Size: size, Duration: spent, Reason: reason, Err: err,
		})
	}
}

func (t *CacheTrace) evicted(key CompactCacheKey, err error) {
	if t != nil && t.Evicted != nil {
		t.Evicted(EvictionInfo{Key: key, Err: err})
	}
}

func (t *CacheTrace) purged(key CacheKey, spent time.Duration, err error) {
	if t != nil && t.Purged != nil {
		t.Purged(PurgeInfo{Key: key, Duration: spent, Err: err})
	}
}

func responseInfo(meta *CacheMeta) ResponseInfo {
	if meta == nil {
		return ResponseInfo{}
	}
	return ResponseInfo{
		StatusCode:  meta.StatusCode(),
		Flags:       meta.Flags(),
		Created:     meta.Created(),
		Epoch:       meta.Epoch(),
		FreshUntil:  meta.FreshUntil(),
		HeaderBytes: meta.Header().Size(),
	}
}
