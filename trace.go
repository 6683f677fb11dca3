package cirque

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque/stats"
)

// CacheTrace is a set of hooks that are called during a walk, in the manner of net/http/httptrace.
// Any of them may be nil. A nil hook costs nothing.
//
// Hooks run where the event happens, so they should be quick and must not panic. A hook must not
// purge on its own goroutine, because a purge may wait for the write that called the hook. Hooks
// may run concurrently, and after the request was answered: a fill reports to the trace of the
// request that began it. A background revalidation has a context of its own, and reports to the
// trace in that; see Background. A request that reads along with a fill reports a hit or a lock
// wait of its own.
//
// A CacheTrace must not be changed once it is in use. It may serve any number of requests.
type CacheTrace struct {
	// LookupDone is called after each lookup in the Storage: for a response that varies, once for
	// the vary record (its Meta has MetaVaryRecord) and once for the variant. Package middleware
	// looks up again with the write permit and after each wait, so a plain miss calls LookupDone
	// twice. It sets Meta, Duration and Err: nil if an entry was found, ErrNotFound if not, else
	// the Storage failed.
	LookupDone func(TraceEvent)

	// Hit is called when a usable stored response was found, fresh or stale. It sets Meta and
	// HitStatus.
	Hit func(TraceEvent)

	// Miss is called when nothing usable was found. It sets only Key. A request can call it twice:
	// package middleware does, if Config.HitFilter returns rules.ForceMiss at both its lookups.
	Miss func(TraceEvent)

	// ReaderJoined is called after Hit when the body that was found is still being written: the
	// request reads along with another's fill. It sets Meta.
	ReaderJoined func(TraceEvent)

	// LockWait is called when a wait for another request's fill has ended. It sets LockStatus and
	// Duration.
	LockWait func(TraceEvent)

	// FillStart is called when a fill begins. It sets Meta.
	FillStart func(TraceEvent)

	// FillDone is called when a fill has ended, with or without success. It sets Meta, Size,
	// Duration, Reason and Err: the Storage's error, or ErrAborted if the body broke off.
	FillDone func(TraceEvent)

	// Evicted is called for each entry that left the Storage because this request's response needed
	// the room. err is the Storage's; ErrNotFound means that the entry was gone already. Storages
	// that make room by themselves report it through [Budget.Reserve], if they know which
	// request needed it.
	Evicted func(key CompactCacheKey, err error)

	// Purged is called when the purge of a key has ended. It sets Duration and Err: the Storage's
	// error, or ErrNotFound if there was nothing. A purge by package middleware calls it twice,
	// because a URL has one key for each door.
	Purged func(TraceEvent)

	// Revalidated is called when the origin has answered a request that validates a stored
	// response, or has not answered. It sets Meta of the stale response, if that was found, Status,
	// Duration until the header, and Err, if there was no answer. Package middleware calls it, like
	// the two hooks that follow.
	Revalidated func(TraceEvent)

	// Background is called when a request got a stale response, and the cache is to revalidate that
	// in the background. It returns the context of the revalidation: ctx, which does not have the
	// values of the request, or one that is derived from it. The revalidation reports all its
	// events to the trace in that context. Without this hook, the trace of the request is told
	// RequestDone. The revalidation may still not come about; then nothing is reported.
	Background func(ctx context.Context) context.Context

	// RequestDone is called when a request is over: by a Handler when the answer was written, by a
	// Transport when its body was closed, and by both when a revalidation in the background has
	// ended. It is not called for PURGE, upgrades and CONNECT.
	RequestDone func(stats.Request)
}

// TraceEvent is what a hook of a CacheTrace is told. The doc of each hook says which fields it sets
// beside Key; the others are zero.
type TraceEvent struct {
	Key        CacheKey
	Meta       *CacheMeta // of the response; nil if there is none. It must not be changed
	HitStatus  HitStatus
	LockStatus LockStatus
	Size       int64 // body bytes received
	Status     int   // of the origin's answer; zero if there was none
	Duration   time.Duration
	Reason     NoCacheReason // why nothing was stored; empty if it was stored
	Err        error
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

			ReaderJoined: inTurn(trace.ReaderJoined, earlier.ReaderJoined),
			RequestDone:  inTurn(trace.RequestDone, earlier.RequestDone),
			Revalidated:  inTurn(trace.Revalidated, earlier.Revalidated),
			Background:   oneAfterTheOther(trace.Background, earlier.Background),

			LockWait:  inTurn(trace.LockWait, earlier.LockWait),
			FillStart: inTurn(trace.FillStart, earlier.FillStart),
			FillDone:  inTurn(trace.FillDone, earlier.FillDone),
			Evicted:   evictedInTurn(trace.Evicted, earlier.Evicted),
			Purged:    inTurn(trace.Purged, earlier.Purged),
		}
	}
	return withTrace(ctx, trace)
}

// anyTrace is false until a context gets a trace. Until then, ContextCacheTrace need not search the
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

func inTurn[Event any](first, second func(Event)) func(Event) {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(e Event) {
		first(e)
		second(e)
	}
}

func oneAfterTheOther(first, second func(context.Context) context.Context) func(context.Context) context.Context {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(ctx context.Context) context.Context { return second(first(ctx)) }
}

func evictedInTurn(first, second func(CompactCacheKey, error)) func(CompactCacheKey, error) {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(key CompactCacheKey, err error) {
		first(key, err)
		second(key, err)
	}
}

// The methods below report an event. They may be called on a nil trace.

func (t *CacheTrace) lookupDone(key *CacheKey, meta *CacheMeta, spent time.Duration, err error) {
	if t != nil && t.LookupDone != nil {
		t.LookupDone(TraceEvent{Key: *key, Meta: meta, Duration: spent, Err: err})
	}
}

func (t *CacheTrace) hit(key *CacheKey, status HitStatus, meta *CacheMeta) {
	if t != nil && t.Hit != nil {
		t.Hit(TraceEvent{Key: *key, HitStatus: status, Meta: meta})
	}
}

func (t *CacheTrace) readerJoined(key *CacheKey, meta *CacheMeta) {
	if t != nil && t.ReaderJoined != nil {
		t.ReaderJoined(TraceEvent{Key: *key, Meta: meta})
	}
}

func (t *CacheTrace) miss(key *CacheKey) {
	if t != nil && t.Miss != nil {
		t.Miss(TraceEvent{Key: *key})
	}
}

func (t *CacheTrace) lockWait(key CacheKey, status LockStatus, spent time.Duration) {
	if t != nil && t.LockWait != nil {
		t.LockWait(TraceEvent{Key: key, LockStatus: status, Duration: spent})
	}
}

func (t *CacheTrace) fillStart(key CacheKey, meta *CacheMeta) {
	if t != nil && t.FillStart != nil {
		t.FillStart(TraceEvent{Key: key, Meta: meta})
	}
}

func (t *CacheTrace) fillDone(key CacheKey, meta *CacheMeta, size int64, spent time.Duration, reason NoCacheReason, err error) {
	if t != nil && t.FillDone != nil {
		t.FillDone(TraceEvent{Key: key, Meta: meta, Size: size, Duration: spent, Reason: reason, Err: err})
	}
}

func (t *CacheTrace) evicted(key CompactCacheKey, err error) {
	if t != nil && t.Evicted != nil {
		t.Evicted(key, err)
	}
}

func (t *CacheTrace) purged(key CacheKey, spent time.Duration, err error) {
	if t != nil && t.Purged != nil {
		t.Purged(TraceEvent{Key: key, Duration: spent, Err: err})
	}
}
