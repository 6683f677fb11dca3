package storagetest

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
)

// These cases are about several users of one Storage. The package cirque does the work for them;
// the Storage has to return the right Purges, metas and errors.

const origin = "https://example.com"

// sharedPurges are the purges that hold for all users of a Storage.
var sharedPurges = map[string]func(e *env, o *cirque.CacheOptions) error{
	"key":   func(e *env, o *cirque.CacheOptions) error { return o.Purge(e.ctx, key("a")) },
	"all":   func(e *env, o *cirque.CacheOptions) error { return o.Storage.Purges().PurgeAll(e.ctx) },
	"group": func(e *env, o *cirque.CacheOptions) error { return o.PurgeGroups(e.ctx, origin, "other", "g") },
}

var sharedCases = []testCase{
	{
		name: "Purges",
		rule: "Purges always returns the same PurgeState, never nil",
		run: func(e *env) {
			p := e.storage.Purges()
			if p == nil || p != e.storage.Purges() {
				e.broken("Purges: got %p, then %p", p, e.storage.Purges())
			}
		},
	},
	{
		name: "SharedPurges",
		rule: "a purge of a key, of a group or of everything by one user of a Storage holds for the others: they find nothing older, and what they are writing is not stored",
		run: func(e *env) {
			for name, purge := range sharedPurges {
				one, other := &cirque.CacheOptions{Storage: e.storage}, &cirque.CacheOptions{Storage: e.storage}
				e.fetch(one, "a").end(e)
				e.wantFound(other, "a", true)
				under := e.fetch(one, "a")
				if err := purge(e, other); err != nil {
					e.broken("purge of %s: %v", name, err)
				}
				e.wantFound(one, "a", false)
				if err := under.finish(e); !errors.Is(err, cirque.ErrNotFound) {
					e.broken("Finish after a purge of %s: got error %v, want ErrNotFound", name, err)
				}
				e.wantFound(one, "a", false)
				e.fetch(other, "a").end(e)
				e.wantFound(one, "a", true)
			}
		},
	},
	{
		name: "PurgesGoByEvents",
		rule: "a date in the future does not keep an entry from being purged: PurgeEpoch is part of a meta, and Lookup returns it as it was given",
		run: func(e *env) {
			for name, purge := range sharedPurges {
				o := &cirque.CacheOptions{Storage: e.storage}
				w := e.fetchOf(o, "a", time.Now().Add(time.Hour))
				w.end(e)
				e.wantFound(o, "a", true)
				if err := purge(e, o); err != nil {
					e.broken("purge of %s: %v", name, err)
				}
				e.wantFound(o, "a", false)
			}
		},
	},
	{
		name: "SharedOrder",
		rule: "if two users of a Storage store responses for one key, the more recent response stays, whichever is complete first",
		run: func(e *env) {
			one, other := &cirque.CacheOptions{Storage: e.storage}, &cirque.CacheOptions{Storage: e.storage}
			now := time.Now()
			older := e.fetchOf(one, "a", now.Add(-time.Minute))
			newer := e.fetchOf(other, "a", now)
			newer.end(e)
			if err := older.finish(e); !errors.Is(err, cirque.ErrNotFound) {
				e.broken("Finish of the older response: got error %v, want ErrNotFound", err)
			}
			m, h := e.lookup(key("a"))
			if !m.Created().Equal(now) {
				e.broken("got the response of %v, want that of %v", m.Created(), now)
			}
			e.wantBody(h, []byte("body"))
		},
	},
	{
		name:  "ReopenKeepsPurges",
		rule:  "a store that persists still knows its purges after it was reopened, and has what was stored after them",
		needs: needReopen,
		run: func(e *env) {
			for name, purge := range sharedPurges {
				o := &cirque.CacheOptions{Storage: e.storage}
				e.fetch(o, "a").end(e)
				if err := purge(e, o); err != nil {
					e.broken("purge of %s: %v", name, err)
				}
				e.fetch(o, "b").end(e)
				e.use(e.features.Reopen(e.TB, e.storage))
				o = &cirque.CacheOptions{Storage: e.storage}
				e.wantFound(o, "a", false)
				e.wantFound(o, "b", true)
			}
		},
	},
}

// userFill is a fill by one of the users of a Storage.
type userFill struct{ *cirque.Fill }

// fetch begins to store a response for key name. The response is in the group g.
func (e *env) fetch(o *cirque.CacheOptions, name string) userFill {
	e.Helper()
	return e.fetchOf(o, name, time.Now())
}

// fetchOf is fetch with a response that was created at the time at.
func (e *env) fetchOf(o *cirque.CacheOptions, name string, at time.Time) userFill {
	e.Helper()
	var c cirque.HttpCache
	c.Enable(o)
	defer c.Release()
	c.SetKey(key(name))
	c.Bypass()
	m := cirque.NewCacheMeta(http.StatusOK, http.Header{"Cache-Groups": {`"g"`}}, at, at.Add(time.Hour), 0, 0)
	m.SetGroups(origin)
	c.SetMeta(m)
	f, err := c.StartFill(e.ctx, cirque.FillOptions{SizeHint: -1})
	e.noError("StartFill", err)
	e.Cleanup(func() { f.Abort(cirque.InternalError) })
	return userFill{f}
}

func (f userFill) finish(e *env) error {
	e.Helper()
	if _, err := io.WriteString(f, "body"); err != nil && !errors.Is(err, cirque.ErrNoReaders) {
		e.broken("Write: %v", err)
	}
	return f.Finish()
}

func (f userFill) end(e *env) {
	e.Helper()
	e.noError("Finish", f.finish(e))
}

// wantFound fails the test unless a user with the options o finds an entry, or finds none if want
// is false.
func (e *env) wantFound(o *cirque.CacheOptions, name string, want bool) {
	e.Helper()
	var c cirque.HttpCache
	c.Enable(o)
	defer c.Release()
	c.SetKey(key(name))
	_, h, err := c.Lookup(e.ctx)
	if err == nil {
		h.Close()
	} else {
		e.wantError("Lookup", err, cirque.ErrNotFound)
	}
	if found := err == nil; found != want {
		e.broken("entry %q is found: %v, want %v", name, found, want)
	}
}
