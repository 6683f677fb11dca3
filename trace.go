package cirque

import (
	"context"
	"sync/atomic"
	"time"
)

// CacheTrace is a set of hooks that see one request's walk through the cache, in the manner of
// net/http/httptrace. Any of them may be nil. What is not hooked costs nothing.
//
// Hooks run where the event happens, so they should be quick, must not panic, and leave purges to other goroutines: one may wait
// for the very write that called the hook. They may run concurrently, and after
// the request is answered: a fill and a background revalidation belong to the cache, and report
// to the trace of the request that began them, which they find among that request's context
// values. Requests that read along with it see a hit or a lock wait of their own.
//
// A CacheTrace must not change once it is in use. It may serve any number of requests.
type CacheTrace struct {
	// LookupDone is called after each question to the Storage: for a response that varies, once for
	// the vary record (MetaVaryRecord is among the flags) and once for the variant.
	LookupDone func(LookupInfo)

	// Hit is called when a stored response was found that may be used, fresh or stale.
	Hit func(HitInfo)

	// Miss is called when nothing usable was found.
	Miss func(MissInfo)

	// LockWait is called when a wait for another request's fill has ended.
	LockWait func(LockWaitInfo)

	// FillStart is called when a response begins to be stored, FillDone when that has ended, well or
	// not.
	FillStart func(FillInfo)
	FillDone  func(FillInfo)

	// Evicted is called for each entry that left the Storage because this request's response needed
	// the room. Storages that make room by themselves say so through [Budget.ReserveFor], as far as they can
	// tell whom it was for.
	Evicted func(EvictionInfo)

	// Purged is called when a purge has ended.
	Purged func(PurgeInfo)
}

// ResponseInfo is what a trace tells of a stored response: facts of its CacheMeta. It is zero where
// there is none.
type ResponseInfo struct {
	StatusCode  int
	Flags       MetaFlags
	Created     time.Time // first stored
	Epoch       time.Time // what the age counts from (RFC 9111 §4.2.3)
	FreshUntil  time.Time // end of the freshness lifetime (RFC 9111 §4.2)
	HeaderBytes int       // stored size of the header section
}

// LookupInfo tells of one lookup.
type LookupInfo struct {
	Key      CacheKey
	Response ResponseInfo
	Duration time.Duration
	Err      error // nil: found; ErrNotFound: not there; else the Storage failed
}

// HitInfo tells what was found.
type HitInfo struct {
	Key      CacheKey
	Phase    CachePhase // PhaseHit or PhaseStale
	Status   HitStatus
	Response ResponseInfo
}

// MissInfo tells for what nothing was found.
type MissInfo struct {
	Key CacheKey
}

// LockWaitInfo tells of one wait.
type LockWaitInfo struct {
	Key      CacheKey
	Status   LockStatus
	Duration time.Duration
}

// FillInfo tells of one fill. At its start only Key and Response are set.
type FillInfo struct {
	Key      CacheKey
	Response ResponseInfo
	Size     int64         // body bytes received
	Duration time.Duration // since the start
	Reason   NoCacheReason // why nothing was stored; empty: it was
	Err      error         // what the Storage said at the end; ErrAborted if the body broke off
}

// EvictionInfo tells what had to leave.
type EvictionInfo struct {
	Key CompactCacheKey
	Err error // from the Storage; ErrNotFound: it was gone already
}

// PurgeInfo tells of one purge.
type PurgeInfo struct {
	Key      CacheKey
	Duration time.Duration
	Err      error // from the Storage; ErrNotFound: there was nothing
}

type cacheTraceKey struct{}

// WithCacheTrace returns a context whose requests are seen by trace, and after it by the trace that
// ctx has already, if any. A nil trace adds nothing. Neither trace is changed.
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

// anyTrace is false while no context has a trace: there is no need then to search those of a server's requests, which
// are chains of several.
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

// in returns ctx with the trace, which is where a Storage finds it.
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
