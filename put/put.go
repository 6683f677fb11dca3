// Package put stores responses that were not fetched: someone hands them over as the bytes that a server would have
// sent, to warm a cache, to push new content into it, or to copy one cache into another.
//
// A [Putter] takes the bytes of one response, in pieces of any size, and stores it if the rules of the cache allow:
// those of [cirque.Policy], the maximum size, the lock, the eviction and the purges are the same as for what is
// fetched.
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
// The bytes are an HTTP/1.1 or HTTP/1.0 response (RFC 9112 §2.1). Interim responses (1xx) before it are
// skipped. The body ends as RFC 9112 §6.3 says: where there can be none at once, else by the chunked coding, by Content-Length,
// or where the bytes end. What follows the end of the body is ignored; trailer fields are not stored. Other transfer
// codings than chunked are malformed.
package put

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
)

// Config holds what not every put needs.
type Config struct {
	// Policy holds the caching rules. Nil: those of a shared cache, the zero Policy.
	Policy *cirque.Policy
	// Variance adds dimensions to the variance of the request, beyond what Vary names; they must be those with which
	// the cache looks up. Nil: none.
	Variance func(*http.Request, *cirque.VarianceBuilder)
}

// Putter stores one response. It is an io.Writer for the bytes of that; Finish or Abort must be called at the
// end. One goroutine at a time may use it.
//
// Its methods panic with a *PhaseError if they are called after the end, Abort excepted.
type Putter struct {
	ctx      context.Context
	req      *http.Request
	policy   *cirque.Policy
	variance func(*cirque.VarianceBuilder)
	began    time.Time

	phase  Phase
	err    error // why nothing will be stored, once that is known
	hc     cirque.HttpCache
	header headerBuffer
	body   framing
	fill   *cirque.Fill // from PhaseBody on
}

// New begins a put of the response to req under key, in the cache that opts describes. req is the GET that the response
// would have answered: its Host and URL, and in its header the fields that the response may vary by. It is not changed and
// must not change.
//
// From here on a purge of the key voids the put. ctx covers all of it.
func New(ctx context.Context, opts *cirque.CacheOptions, key cirque.CacheKey, req *http.Request, cfg Config) *Putter {
	p := &Putter{ctx: ctx, req: req, policy: cfg.Policy, began: time.Now()}
	if p.policy == nil {
		p.policy = &cirque.Policy{}
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

// Phase returns where the put stands.
func (p *Putter) Phase() Phase { return p.phase }

// Err returns why nothing will be, or was, stored; nil as long as nothing stands against it. See Finish.
func (p *Putter) Err() error { return p.err }

// Meta returns the meta that the response is stored with; nil before its header is complete, and where it is not
// stored. It must not be changed.
func (p *Putter) Meta() *cirque.CacheMeta {
	if p.fill == nil {
		return nil
	}
	return p.fill.Meta()
}

// Write takes the next bytes of the response. The first error is the one that Finish returns, and so are all
// that follow: the rest of the bytes is not needed.
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
			rest = nil // what follows the body is not part of it
		}
	}
	return len(b) - len(rest), p.err
}

// writeHeader takes what of b belongs to the header, and returns the rest.
func (p *Putter) writeHeader(b []byte) []byte {
	rest, complete, err := p.header.write(b)
	switch {
	case err != nil:
		p.fail(err)
	case complete:
		response, err := p.header.parse(p.req)
		if err != nil {
			p.fail(err)
		} else if response != nil { // else it was an interim one
			p.admit(response)
		}
	}
	return rest
}

// admit begins to store the response if the rules allow it (RFC 9111 §3).
func (p *Putter) admit(response *http.Response) {
	meta, refusal := p.policy.Store(&cirque.Exchange{
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
	// Whoever misses from here on waits for this response, if nobody else is fetching it.
	p.hc.TryLock()
	fill, err := p.hc.StartFill(p.ctx, cirque.FillOptions{
		SizeHint: response.ContentLength, Unshared: !cirque.Shareable(meta, time.Now()),
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

// writeBody takes what of b belongs to the body, and returns the rest.
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
		err = cirque.ErrUnlinked // which it was before it had no readers
	}
	err = cmp.Or(p.fill.Err(), err)
	reason := p.fill.NoCacheReason()
	if reason == "" {
		return notStored(err)
	}
	return &NotStoredError{Reason: reason, Err: err}
}

// Finish ends the bytes of the response. It returns nil if the response is stored. Otherwise nothing was
// stored, nor removed, and the error is one of:
//   - ErrMalformed: the bytes are no response,
//   - ErrIncomplete: they end too early,
//   - *NotStoredError: the response is one that must not or could not be stored.
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

// Abort gives the put up: nothing is stored, and requests that wait for the response take their turns at the
// origin. After Finish or Abort it does nothing.
func (p *Putter) Abort() {
	if p.phase < PhaseStored {
		if p.err == nil {
			p.fail(ErrIncomplete)
		}
		p.to("Abort", PhaseEnded)
	}
}

// fail ends the storing.
func (p *Putter) fail(err error) {
	p.err = err
	p.to("Write", PhaseFailed)
	if p.fill != nil {
		p.fill.Abort(cirque.InternalError) // nothing, after its Finish
		p.fill = nil
	}
	p.hc.Release()
}
