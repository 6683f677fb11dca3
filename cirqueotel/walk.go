package cirqueotel

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/stats"
)

// walk makes the spans of one request, or of one background revalidation. Its methods are hooks of
// a CacheTrace.
type walk struct {
	tracing    *Tracing
	ctx        context.Context // its span is the parent of the others
	span       trace.Span      // that span: of the request, or of the background revalidation
	background bool            // span is that of a background revalidation, which the walk ends

	refreshes atomic.Bool // a background revalidation reports to this walk, as its context is that of the request

	mu     sync.Mutex // the fill runs beside the request
	lookup *lookup    // the last one, until it is known what it led to
	fills  []trace.Span
}

// lookup is a lookup that is over, while its span is not.
type lookup struct {
	span  trace.Span
	ended time.Time
}

func (w *walk) hooks() *cirque.CacheTrace {
	return &cirque.CacheTrace{
		LookupDone:  w.lookupDone,
		Hit:         w.hit,
		Miss:        w.miss,
		LockWait:    w.lockWait,
		FillStart:   w.fillStart,
		FillDone:    w.fillDone,
		Purged:      w.purged,
		Revalidated: w.revalidated,
		Background:  w.inBackground,
		RequestDone: w.requestDone,
	}
}

// began starts a span of something that took d and ends now.
func (w *walk) began(name string, d time.Duration, attributes ...attribute.KeyValue) (span trace.Span, now time.Time) {
	now = time.Now()
	_, span = w.tracing.tracer.Start(w.ctx, name, trace.WithTimestamp(now.Add(-d)), trace.WithAttributes(attributes...))
	return span, now
}

// failed makes span that of a failure, unless err is nil.
func failed(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
}

func (w *walk) lookupDone(e cirque.TraceEvent) {
	w.endLookup()
	span, now := w.began("cache.lookup", e.Duration)
	if !errors.Is(e.Err, cirque.ErrNotFound) {
		failed(span, e.Err)
	}
	switch {
	case e.Meta == nil:
	case e.Meta.Has(cirque.MetaVaryRecord):
		span.SetAttributes(keyVary.Bool(true))
	default:
		span.SetAttributes(seconds(keyAge, e.Meta.Age(now)), seconds(keyTTL, e.Meta.FreshUntil().Sub(now)))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lookup = &lookup{span, now}
}

// endLookup ends the span of the last lookup. The attributes say what it led to.
func (w *walk) endLookup(ledTo ...attribute.KeyValue) {
	w.mu.Lock()
	last := w.lookup
	w.lookup = nil
	w.mu.Unlock()
	if last != nil {
		last.span.SetAttributes(ledTo...)
		last.span.End(trace.WithTimestamp(last.ended))
	}
}

func (w *walk) hit(e cirque.TraceEvent) {
	phase := cirque.PhaseStale
	if e.HitStatus == cirque.HitFresh || e.HitStatus == cirque.HitForceFresh {
		phase = cirque.PhaseHit
	}
	w.endLookup(keyPhase.String(phase.String()))
}

func (w *walk) miss(cirque.TraceEvent) { w.endLookup(keyPhase.String(cirque.PhaseMiss.String())) }

func (w *walk) lockWait(e cirque.TraceEvent) {
	w.endLookup()
	span, now := w.began("cache.lock_wait", e.Duration, keyLock.String(e.LockStatus.String()))
	span.End(trace.WithTimestamp(now))
}

// fillStart begins the span of a fill. It is the root of a trace: the fill may go on for long after
// the request.
func (w *walk) fillStart(e cirque.TraceEvent) {
	w.endLookup()
	options := []trace.SpanStartOption{trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: w.span.SpanContext()})}
	if e.Meta != nil {
		options = append(options, trace.WithAttributes(seconds(keyTTL, time.Until(e.Meta.FreshUntil()))))
	}
	_, span := w.tracing.tracer.Start(w.ctx, "cache.fill", options...)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fills = append(w.fills, span)
}

func (w *walk) fillDone(e cirque.TraceEvent) {
	w.mu.Lock()
	if len(w.fills) == 0 {
		w.mu.Unlock()
		return
	}
	span := w.fills[0]
	w.fills = w.fills[1:]
	w.mu.Unlock()
	span.SetAttributes(keyStored.Bool(e.Reason == "" && e.Err == nil), keyBodySize.Int64(e.Size))
	if e.Reason != "" {
		span.SetAttributes(keyReason.String(string(e.Reason)))
	}
	failed(span, e.Err)
	span.End()
}

func (w *walk) purged(e cirque.TraceEvent) {
	span, now := w.began("cache.purge", e.Duration)
	if !errors.Is(e.Err, cirque.ErrNotFound) {
		failed(span, e.Err)
	}
	span.End(trace.WithTimestamp(now))
}

// revalidated makes the span of a revalidation for which a client waited. That of one in the
// background is there already.
func (w *walk) revalidated(e cirque.TraceEvent) {
	w.endLookup()
	span, now := w.span, time.Time{}
	if !w.background {
		where := "foreground"
		if w.refreshes.Load() {
			where = "background"
		}
		span, now = w.began("cache.revalidate", e.Duration, keyWhere.String(where))
		defer func() { span.End(trace.WithTimestamp(now)) }()
	}
	if e.Status != 0 {
		span.SetAttributes(keyStatus.Int(e.Status))
	}
	failed(span, e.Err)
}

// inBackground returns the context of a background revalidation, with the span for it. If the
// revalidation does not come about, the span is never ended, and so never exported.
//
// If Config.BackgroundContext kept the values of the request, its walk hears of the revalidation
// anyway. Then there is no span beside those that this walk makes.
func (w *walk) inBackground(ctx context.Context) context.Context {
	if ctx.Value(walkKey{}) != nil {
		w.refreshes.Store(true)
		return ctx
	}
	ctx, span := w.tracing.tracer.Start(ctx, "cache.revalidate", trace.WithNewRoot(),
		trace.WithLinks(trace.Link{SpanContext: w.span.SpanContext()}), trace.WithAttributes(keyWhere.String("background")))
	b := &walk{tracing: w.tracing, ctx: ctx, span: span, background: true}
	return b.in(ctx)
}

func (w *walk) requestDone(r stats.Request) {
	w.endLookup()
	if r.Background != w.background {
		return // a background revalidation that has the values of the request; the span is not its own
	}
	if w.span.IsRecording() {
		w.span.SetAttributes(requestAttributes(&r)...)
	}
	if w.background {
		w.span.End()
	}
}
