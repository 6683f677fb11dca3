// Package put stores responses that were not fetched. The caller hands them over as the bytes that
// a server would have sent: to warm a cache, to push new content into it, or to copy one cache into
// another.
//
// A [Putter] takes the bytes of one response, in pieces of any size, and stores the response if the
// rules of the cache allow it. The rules of [rules.Policy], the maximum size, the lock, the
// eviction and the purges apply as for a fetched response.
//
//	p := put.New(ctx, opts, key, request, put.Config{})
//	defer p.Abort() // does nothing after Finish
//	if _, err := io.Copy(p, connection); err != nil {
//		return err
//	}
//	return p.Finish()
//
// # Format
//
// The bytes are an HTTP/1.1 or HTTP/1.0 response (RFC 9112 §2.1). Interim responses (1xx) before
// it are skipped. The body ends as RFC 9112 §6.3 says: at once if there can be none, else by the
// chunked coding, by Content-Length, or where the bytes end. Bytes after the end of the body are
// ignored. Trailer fields are not stored. A response with another transfer coding than chunked is
// malformed.
package put

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// Config holds settings that not every put needs.
type Config struct {
	// Policy holds the caching rules. Nil means the zero Policy: the rules of a shared cache.
	Policy *rules.Policy
	// Variance adds dimensions to the variance of the request, beyond the fields that Vary names.
	// They must be the same with which the cache looks up. Nil means none.
	Variance func(*http.Request, *cirque.VarianceBuilder)
}

// Putter stores one response. It is an io.Writer for the bytes of the response. Finish or Abort
// must be called at the end. Only one goroutine at a time may use it.
//
// Its methods, except Abort, panic with a *PhaseError if they are called after the end.
type Putter struct {
	ctx      context.Context
	req      *http.Request
	policy   *rules.Policy
	variance func(*cirque.VarianceBuilder)
	began    time.Time

	phase  Phase
	err    error // why nothing will be stored, once that is known
	hc     cirque.HttpCache
	header headerBuffer
	body   framing
	fill   *cirque.Fill // from PhaseBody on
}

// New begins a put of the response to req under key, in the cache that opts describes. req is the
// GET that the response would have answered: its Host, its URL, and in its header the fields that
// the response may vary by. New does not change req, and the caller must not change it either.
//
// From here on a purge of the key voids the put. ctx applies to the whole put.
func New(ctx context.Context, opts *cirque.CacheOptions, key cirque.CacheKey, req *http.Request, cfg Config) *Putter {
	p := &Putter{ctx: ctx, req: req, policy: cfg.Policy, began: time.Now()}
	if p.policy == nil {
		p.policy = &rules.Policy{}
	}
	if cfg.Variance != nil {
		p.variance = func(b *cirque.VarianceBuilder) { cfg.Variance(req, b) }
	}
	p.header.limit = p.policy.MaxHeaderBytes
	p.hc.Enable(opts)
	p.hc.SetTrace(cirque.ContextCacheTrace(ctx))
	p.hc.SetKey(key)
	p.hc.Bypass()
	return p
}

// Phase returns the phase of the put.
func (p *Putter) Phase() Phase { return p.phase }

// Err returns why nothing will be, or was, stored. It is nil while no reason is known. See Finish.
func (p *Putter) Err() error { return p.err }

// Meta returns the meta that the response is stored with. It is nil before the header is complete,
// and if the response is not stored. It must not be changed.
func (p *Putter) Meta() *cirque.CacheMeta {
	if p.fill == nil {
		return nil
	}
	return p.fill.Meta()
}

// Write takes the next bytes of the response. Once a Write has returned an error, every later Write
// and Finish return the same error.
func (p *Putter) Write(b []byte) (int, error) {
	p.require("Write")
	rest := b
	for len(rest) > 0 && p.err == nil {
		switch p.phase {
		case PhaseHeader:
			rest = p.writeHeader(rest)
		case PhaseBody:
			rest = p.writeBody(rest)
		case PhaseComplete:
			rest = nil // bytes after the body are ignored
		}
	}
	return len(b) - len(rest), p.err
}

// writeHeader takes the bytes of b that belong to the header, and returns the rest.
func (p *Putter) writeHeader(b []byte) []byte {
	rest, complete, err := p.header.write(b)
	switch {
	case err != nil:
		p.fail(err)
	case complete:
		response, err := p.header.parse(p.req)
		if err != nil {
			p.fail(err)
		} else if response != nil { // nil: it was an interim response
			p.admit(response)
		}
	}
	return rest
}

// admit begins to store the response if the rules allow it (RFC 9111 §3).
func (p *Putter) admit(response *http.Response) {
	meta, refusal := p.policy.Store(&rules.Exchange{
		Request: p.req, Status: response.StatusCode, Header: response.Header,
		RequestTime: p.began, ResponseTime: time.Now(),
	})
	if refusal != nil {
		p.fail(&NotStoredError{Reason: refusal.Reason, Detail: refusal.Detail})
		return
	}
	if p.hc.ExceedsMaxObject(response.ContentLength) {
		p.fail(&NotStoredError{Reason: cirque.PredictedResponseTooLarge})
		return
	}
	p.hc.SetMeta(meta)
	fields, _ := cirque.VaryFields(response.Header)
	p.hc.UpdateVariance(p.ctx, fields, p.req.Header, p.variance)
	// From here on a request that misses waits for this response, unless another request is
	// fetching it.
	p.hc.TryLock()
	fill, err := p.hc.StartFill(p.ctx, cirque.FillOptions{
		SizeHint: response.ContentLength, Unshared: !rules.Shareable(meta, time.Now()),
	})
	if err != nil {
		p.fail(notStored(err))
		return
	}
	p.fill = fill
	p.body = framingOf(response)
	p.to("Write", PhaseBody)
	if p.body.done() {
		p.to("Write", PhaseComplete)
	}
}

// writeBody takes the bytes of b that belong to the body, and returns the rest.
func (p *Putter) writeBody(b []byte) []byte {
	content, rest, err := p.body.next(b)
	if len(content) > 0 {
		if _, err := p.fill.Write(content); err != nil {
			p.fail(p.fillFailed(err))
			return rest
		}
	}
	switch {
	case err != nil:
		p.fail(err)
	case p.body.done():
		p.to("Write", PhaseComplete)
	}
	return rest
}

// fillFailed explains an error of the fill.
func (p *Putter) fillFailed(err error) error {
	if errors.Is(err, cirque.ErrNoReaders) {
		err = cirque.ErrUnlinked // it was unlinked before it lost its readers
	}
	err = cmp.Or(p.fill.Err(), err)
	reason := p.fill.NoCacheReason()
	if reason == "" {
		return notStored(err)
	}
	return &NotStoredError{Reason: reason, Err: err}
}

// Finish ends the bytes of the response. It returns nil if the response is stored. Otherwise
// nothing was stored or removed, and the error is one of:
//   - ErrMalformed: the bytes are not a response,
//   - ErrIncomplete: the bytes end too early,
//   - *NotStoredError: the response must not or could not be stored.
func (p *Putter) Finish() error {
	p.require("Finish")
	if p.err == nil && !(p.phase == PhaseComplete || p.phase == PhaseBody && p.body.mayEnd()) {
		p.fail(ErrIncomplete)
	}
	if p.err == nil {
		if err := p.fill.Finish(); err != nil {
			p.fail(p.fillFailed(err))
		}
	}
	if p.err != nil {
		p.to("Finish", PhaseEnded)
		return p.err
	}
	p.to("Finish", PhaseStored)
	p.hc.Release()
	return nil
}

// Abort gives up the put: nothing is stored, and the requests that wait for the response fetch it,
// one after the other. After Finish or Abort it does nothing.
func (p *Putter) Abort() {
	if p.phase < PhaseStored {
		if p.err == nil {
			p.fail(ErrIncomplete)
		}
		p.to("Abort", PhaseEnded)
	}
}

// fail records why nothing will be stored, and ends the fill.
func (p *Putter) fail(err error) {
	p.err = err
	p.to("Write", PhaseFailed)
	if p.fill != nil {
		p.fill.Abort(cirque.InternalError) // does nothing after the fill's Finish
		p.fill = nil
	}
	p.hc.Release()
}
