package middleware

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/inspect"
	"github.com/cirquecache/cirque/rules"
)

// dryRun is a plan that is only explained. It is made by the same functions as that of a request;
// what they would change is kept from them: they get options without an EvictionManager, a Storage
// that cannot be written, and a lock of their own.
type dryRun struct {
	options  *cirque.CacheOptions
	asked    *http.Request // as it came in
	assumed  bool          // a server is assumed, as the request does not come from one
	seen     []sight       // the lookups, in order
	decided  bool          // about a stored response: decision
	decision rules.ReuseDecision
	waits    bool  // for another request's fill
	failure  error // of the Storage, in a lookup
}

// sight is what one lookup in the Storage saw, even if it is void.
type sight struct {
	key    cirque.CacheKey
	meta   *cirque.CacheMeta
	size   int64 // of the body; negative if unknown
	weight int64
	tag    cirque.Tag
	live   bool // it is still being written
}

// newDryRun returns a dry run that looks at what c has.
func (c *Cache) newDryRun(assumed bool) *dryRun {
	d := &dryRun{assumed: assumed}
	d.options = &cirque.CacheOptions{
		Storage: &dryStorage{c.opts.Storage, d}, LockWait: c.opts.LockWait, MaxObjectBytes: c.opts.MaxObjectBytes,
	}
	if c.opts.Predictor != nil {
		d.options.Predictor = dryPredictor{c.opts.Predictor}
	}
	if c.opts.Lock != nil {
		d.options.Lock = &dryLock{CacheKeyLock: cirque.NewCacheLock(0), real: c.opts.Lock}
	}
	return d
}

// dryStorage is a Storage that can only be looked at.
type dryStorage struct {
	cirque.Storage
	run *dryRun
}

// Lookup implements cirque.Storage.
func (s *dryStorage) Lookup(ctx context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	meta, hit, err := inspect.Peek(ctx, s.Storage, key)
	if err != nil {
		return meta, hit, err
	}
	own, err := copyOfMeta(meta) // the Storage's may end with the hit
	if err != nil {
		_ = hit.Close()
		return nil, nil, err
	}
	size, known := hit.Size()
	if !known {
		size = -1
	}
	s.run.seen = append(s.run.seen, sight{key, own, size, hit.Weight(), hit.Tag(), !hit.CountsAccess()})
	return own, hit, nil
}

func copyOfMeta(meta *cirque.CacheMeta) (*cirque.CacheMeta, error) {
	data, err := meta.AppendBinary(nil)
	if err != nil {
		return nil, err
	}
	own := new(cirque.CacheMeta)
	return own, own.UnmarshalBinary(data)
}

// MissHandler implements cirque.Storage.
func (*dryStorage) MissHandler(context.Context, cirque.CacheKey, *cirque.CacheMeta, cirque.MissOptions) (cirque.MissHandler, error) {
	return nil, errors.ErrUnsupported
}

// Purge implements cirque.Storage.
func (*dryStorage) Purge(context.Context, cirque.CompactCacheKey, cirque.PurgeType) error {
	return errors.ErrUnsupported
}

// UpdateMeta implements cirque.Storage.
func (*dryStorage) UpdateMeta(context.Context, cirque.CacheKey, *cirque.CacheMeta, cirque.Tag) error {
	return errors.ErrUnsupported
}

// dryPredictor is a predictor that learns nothing.
type dryPredictor struct{ cirque.CacheablePredictor }

// MarkCacheable implements cirque.CacheablePredictor.
func (dryPredictor) MarkCacheable(cirque.CacheKey) bool { return false }

// MarkUncacheable implements cirque.CacheablePredictor.
func (dryPredictor) MarkUncacheable(cirque.CacheKey, cirque.NoCacheReason) bool { return false }

// dryLock is a lock that is held where the real one is, and of which nobody else knows.
type dryLock struct {
	cirque.CacheKeyLock
	real   cirque.CacheKeyLock
	others *cirque.WritePermit // stands for that of another request
}

// Lock implements cirque.CacheKeyLock.
func (l *dryLock) Lock(key cirque.CacheKey, staleWriter bool) (*cirque.WritePermit, *cirque.ReadLock) {
	if real, ok := l.real.(inspect.ObservableLock); ok && l.others == nil {
		if held, stale := real.Held(key); held {
			l.others, _ = l.CacheKeyLock.Lock(key, stale)
		}
	}
	return l.CacheKeyLock.Lock(key, staleWriter)
}

// canRefresh reports whether the stale entry that answers x can be revalidated in the background at
// the Handler door.
func (d *dryRun) canRefresh(x *transaction) bool {
	if x.cache.unreached.has(x.hc.Key()) {
		return false
	}
	chain, _ := x.cache.chainOf(x.req)
	return chain != nil || d.assumed && x.cache.cfg.Refresh == nil
}

// newDryTransaction returns the handling of r, which came in by d, for a plan that is only
// explained. The caller must call Release of its walk.
func (c *Cache) newDryTransaction(d door, r *http.Request) *transaction {
	assumed := r.Context().Value(http.ServerContextKey) == nil
	x := &transaction{clientRequest: newClientRequest(c, d, r), dry: c.newDryRun(assumed)}
	x.dry.asked = r
	x.meter = meter{cameBy: d, arrived: time.Now()}
	return x
}

// planDry makes the plan of a request that is only explained, unless the cache takes no part in it.
func (x *transaction) planDry() (from source, err error) {
	x.now = x.arrived
	if x.keptOut() {
		return pastCache, nil
	}
	from, err = x.plan()
	if err == nil && from == fromOrigin && x.cache.underWay.closed() {
		from = pastCache
		x.bypassClosing()
	}
	return from, err
}

// keptOut reports whether the door itself answers the request, or keeps the cache out of it.
func (x *transaction) keptOut() bool {
	return keepsOut(x.dry.asked) || x.door == doorHandler && x.req.Method == methodPurge
}

// lookAnyway looks up what a GET for the URL of x selects, for a request that the plan did not look
// up.
func (x *transaction) lookAnyway() {
	key, ok := x.cache.keyOfGet(x.door, &x.target, x.req)
	if !ok {
		return
	}
	look := &transaction{clientRequest: x.clientRequest, dry: x.dry}
	look.enable(key)
	defer look.hc.Release()
	if _, hit, err := look.lookup(); err == nil {
		_ = hit.Close()
	}
}
