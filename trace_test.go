package cirque

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/stats"
)

var (
	traceKey  = NewCacheKey("ns", "https://example.com/", "owner")
	traceMeta = func() *CacheMeta {
		m := NewCacheMeta(404, http.Header{"Age": {"7"}}, time.Unix(100, 0), time.Unix(200, 0), 0, 0)
		m.SetEpochOverride(time.Unix(93, 0))
		m.SetFlags(MetaHeuristic)
		return m
	}()
	errTraced = errors.New("disk on fire")
)

// recordingTrace has every hook of CacheTrace; each appends "name hook" to log.
func recordingTrace(name string, log *[]string) *CacheTrace {
	trace := &CacheTrace{}
	v := reflect.ValueOf(trace).Elem()
	for i := range v.NumField() {
		hook := v.Type().Field(i)
		v.Field(i).Set(reflect.MakeFunc(hook.Type, func(args []reflect.Value) []reflect.Value {
			*log = append(*log, fmt.Sprintf("%s %s", name, hook.Name))
			return args[:hook.Type.NumOut()] // Background returns its context
		}))
	}
	return trace
}

// reportAll makes every event happen once.
func reportAll(t *CacheTrace) {
	t.lookupDone(&traceKey, traceMeta, time.Second, nil)
	t.hit(&traceKey, HitExpired, traceMeta)
	t.miss(&traceKey)
	t.lockWait(traceKey, LockGiveUp, time.Second)
	t.fillStart(traceKey, traceMeta)
	t.fillDone(traceKey, traceMeta, 42, time.Second, StorageError, errTraced)
	t.evicted(traceKey.Compact(), errTraced)
	t.purged(traceKey, time.Second, errTraced)
	t.readerJoined(&traceKey, traceMeta)
	if t != nil && t.RequestDone != nil {
		t.RequestDone(stats.Request{Status: 200})
	}
	if t != nil && t.Revalidated != nil {
		t.Revalidated(TraceEvent{Status: 304})
	}
	if t != nil && t.Background != nil {
		t.Background(context.Background())
	}
}

func TestTraceEvents(t *testing.T) {
	type eviction struct {
		key CompactCacheKey
		err error
	}
	var got []any
	see := func(e TraceEvent) { got = append(got, e) }
	reportAll(&CacheTrace{
		LookupDone: see,
		Hit:        see,
		Miss:       see,
		LockWait:   see,
		FillStart:  see,
		FillDone:   see,
		Evicted:    func(key CompactCacheKey, err error) { got = append(got, eviction{key, err}) },
		Purged:     see,

		ReaderJoined: see,
		RequestDone:  func(r stats.Request) { got = append(got, r) },
		Revalidated:  see,
	})
	require.Equal(t, []any{
		TraceEvent{Key: traceKey, Meta: traceMeta, Duration: time.Second},
		TraceEvent{Key: traceKey, Meta: traceMeta, HitStatus: HitExpired},
		TraceEvent{Key: traceKey},
		TraceEvent{Key: traceKey, LockStatus: LockGiveUp, Duration: time.Second},
		TraceEvent{Key: traceKey, Meta: traceMeta},
		TraceEvent{Key: traceKey, Meta: traceMeta, Size: 42, Duration: time.Second, Reason: StorageError, Err: errTraced},
		eviction{traceKey.Compact(), errTraced},
		TraceEvent{Key: traceKey, Duration: time.Second, Err: errTraced},
		TraceEvent{Key: traceKey, Meta: traceMeta},
		stats.Request{Status: 200},
		TraceEvent{Status: 304},
	}, got)
}

func TestTraceOfALookupThatFoundNothing(t *testing.T) {
	var got TraceEvent
	trace := &CacheTrace{LookupDone: func(e TraceEvent) { got = e }}
	trace.lookupDone(&traceKey, nil, time.Second, ErrNotFound)
	require.Equal(t, TraceEvent{Key: traceKey, Duration: time.Second, Err: ErrNotFound}, got)
}

func TestTraceIsCarriedByTheContext(t *testing.T) {
	ctx := t.Context()
	require.Nil(t, ContextCacheTrace(ctx))
	require.Equal(t, ctx, WithCacheTrace(ctx, nil))

	trace := &CacheTrace{}
	ctx, cancel := context.WithCancel(WithCacheTrace(ctx, trace))
	cancel()
	require.Same(t, trace, ContextCacheTrace(ctx))
	require.Same(t, trace, ContextCacheTrace(context.WithoutCancel(ctx)), "the context of a background fill keeps the trace")
}

func TestTracesAreCalledInTurn(t *testing.T) {
	var log []string
	hooks := reflect.TypeFor[CacheTrace]().NumField()
	inner, outer := recordingTrace("inner", &log), recordingTrace("outer", &log)
	ctx := WithCacheTrace(WithCacheTrace(t.Context(), outer), inner)

	reportAll(ContextCacheTrace(ctx))
	var want []string
	for _, hook := range []string{"LookupDone", "Hit", "Miss", "LockWait", "FillStart", "FillDone", "Evicted", "Purged", "ReaderJoined", "RequestDone", "Revalidated", "Background"} {
		want = append(want, "inner "+hook, "outer "+hook)
	}
	require.Equal(t, want, log)
	require.Len(t, want, 2*hooks)

	// Neither trace was changed, so each event is reported once.
	log = nil
	reportAll(inner)
	reportAll(outer)
	require.Len(t, log, 2*hooks)
}

func TestContextOfTheBackgroundIsMadeByBothTraces(t *testing.T) {
	type value int
	with := func(v value) *CacheTrace {
		return &CacheTrace{Background: func(ctx context.Context) context.Context { return context.WithValue(ctx, v, true) }}
	}
	made := ContextCacheTrace(WithCacheTrace(WithCacheTrace(t.Context(), with(1)), with(2))).Background(t.Context())
	require.Equal(t, true, made.Value(value(1)))
	require.Equal(t, true, made.Value(value(2)))
}

func TestTracesWithNilHooksAreCalledInTurn(t *testing.T) {
	var log []string
	misses := &CacheTrace{Miss: func(TraceEvent) { log = append(log, "miss") }}
	hits := &CacheTrace{Hit: func(TraceEvent) { log = append(log, "hit") }}
	for _, ctx := range []context.Context{
		WithCacheTrace(WithCacheTrace(t.Context(), misses), hits),
		WithCacheTrace(WithCacheTrace(t.Context(), hits), misses),
	} {
		log = nil
		reportAll(ContextCacheTrace(ctx))
		require.Equal(t, []string{"hit", "miss"}, log)
	}
}

func TestTraceUnsetCostsNothing(t *testing.T) {
	for name, trace := range map[string]*CacheTrace{"nil": nil, "without hooks": {}} {
		require.Zero(t, testing.AllocsPerRun(100, func() { reportAll(trace) }), name)
	}
}

func TestTraceHooksDoNotAllocate(t *testing.T) {
	var last TraceEvent
	trace := &CacheTrace{Hit: func(e TraceEvent) { last = e }}
	require.Zero(t, testing.AllocsPerRun(100, func() { trace.hit(&traceKey, HitFresh, traceMeta) }))
	require.Equal(t, HitFresh, last.HitStatus)
}

func BenchmarkTrace(b *testing.B) {
	var sink int
	for _, c := range []struct {
		name  string
		trace *CacheTrace
	}{
		{"nil", nil},
		{"unhooked", &CacheTrace{}},
		{"hooked", &CacheTrace{Hit: func(e TraceEvent) { sink += e.Meta.StatusCode() }}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.trace.hit(&traceKey, HitFresh, traceMeta)
			}
		})
	}
}
