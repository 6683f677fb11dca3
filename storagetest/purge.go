package storagetest

import "github.com/cirquecache/cirque"

var purgeTypes = []cirque.PurgeType{cirque.PurgeInvalidation, cirque.PurgeEviction}

var purgeCases = []testCase{
	{
		name: "Purge",
		rule: "Purge removes the entry of its key; after that, Lookup and Purge return ErrNotFound",
		run: func(e *env) {
			for _, typ := range purgeTypes {
				e.put(key("a"), "a", "body")
				e.purge(key("a"), typ)
				e.wantMiss(key("a"))
				e.wantError("Purge again", e.storage.Purge(e.ctx, key("a").Compact(), typ), cirque.ErrNotFound)
				e.put(key("a"), "again", "body")
				e.want(key("a"), "again", "body")
			}
		},
	},
	{
		name: "PurgeTakesOneEntry",
		rule: "Purge removes the entry of its key only: not the entry of another key or of another variant",
		run: func(e *env) {
			for _, typ := range purgeTypes {
				a, b := key("a").WithVariance(varianceA), key("a").WithVariance(varianceB)
				for _, k := range []cirque.CacheKey{key("a"), a, b, key("b")} {
					e.put(k, k.String(), k.String())
				}
				e.purge(a, typ)
				e.want(b, b.String(), b.String())
				e.purge(key("a"), typ)
				e.want(b, b.String(), b.String())
				e.want(key("b"), key("b").String(), key("b").String())
			}
		},
	},
	{
		name: "ReadAfterPurge",
		rule: "readers that have an entry open when it is purged can read it to its end",
		run: func(e *env) {
			body := string(pattern(300_000))
			for _, typ := range purgeTypes {
				e.put(key("a"), "a", body)
				_, h := e.lookup(key("a"))
				e.purge(key("a"), typ)
				e.put(key("a"), "new", "another body")
				e.wantBody(h, []byte(body))
			}
		},
	},
	{
		name: "InvalidationVoidsWrites",
		rule: "an invalidation voids the writes under way: Finish returns ErrNotFound and nothing is stored",
		run: func(e *env) {
			w := e.write(key("a"), "a", "body")
			e.invalidate(key("a"))
			e.append(w, []byte(" goes on"))
			_, err := w.Finish()
			e.wantError("Finish", err, cirque.ErrNotFound)
			e.wantMiss(key("a"))
		},
	},
	{
		name: "InvalidationVoidsWritesOfVariants",
		rule: "the invalidation of a key without variance voids the writes under way for its variants",
		run: func(e *env) {
			w := e.write(key("a").WithVariance(varianceA), "a", "body")
			e.invalidate(key("a"))
			_, err := w.Finish()
			e.wantError("Finish", err, cirque.ErrNotFound)
			e.wantMiss(key("a").WithVariance(varianceA))
		},
	},
	{
		name: "InvalidationSparesOtherWrites",
		rule: "an invalidation of a variant voids writes of that variant only, not writes of its siblings, of the primary slot or of other keys",
		run: func(e *env) {
			sibling := e.write(key("a").WithVariance(varianceB), "sibling", "sibling")
			primary := e.write(key("a"), "primary", "primary")
			other := e.write(key("b"), "other", "other")
			e.invalidate(key("a").WithVariance(varianceA))
			e.invalidate(key("c"))
			e.finish(sibling)
			e.finish(primary)
			e.finish(other)
			e.want(key("a").WithVariance(varianceB), "sibling", "sibling")
		},
	},
	{
		name: "InvalidationSparesLaterWrites",
		rule: "an invalidation voids writes that began before it, not those that begin after it",
		run: func(e *env) {
			e.write(key("a"), "a", "before")
			e.invalidate(key("a"))
			e.finish(e.write(key("a"), "a", "after"))
			e.want(key("a"), "a", "after")
		},
	},
	{
		name: "EvictionSparesWrites",
		rule: "an eviction removes the entry and lets writes under way go on",
		run: func(e *env) {
			e.put(key("a"), "old", "old")
			w := e.write(key("a"), "new", "new")
			e.purge(key("a"), cirque.PurgeEviction)
			e.finish(w)
			e.want(key("a"), "new", "new")
		},
	},
}

var replaceCases = []testCase{
	{
		name: "Replaces",
		rule: "a write that replaces the entry in place is stored",
		run: func(e *env) {
			tag := e.put(key("a"), "old", "old")
			e.finish(e.replace(tag))
			e.want(key("a"), "new", "new")
		},
	},
	{
		name: "ReplacesPurged",
		rule: "if the entry that a write replaces was purged meanwhile, Finish stores nothing and returns ErrNotFound",
		run: func(e *env) {
			w := e.replace(e.put(key("a"), "old", "old"))
			e.purge(key("a"), cirque.PurgeEviction)
			_, err := w.Finish()
			e.wantError("Finish", err, cirque.ErrNotFound)
			e.wantMiss(key("a"))
		},
	},
	{
		name: "ReplacesReplaced",
		rule: "if the entry that a write replaces was replaced by another meanwhile, the other one stays and Finish returns ErrNotFound",
		run: func(e *env) {
			w := e.replace(e.put(key("a"), "old", "old"))
			e.put(key("a"), "other", "other")
			_, err := w.Finish()
			e.wantError("Finish", err, cirque.ErrNotFound)
			e.want(key("a"), "other", "other")
		},
	},
	{
		name: "ReplacesUpdated",
		rule: "an entry keeps its tag when its meta is updated, so a write that replaces it is still stored",
		run: func(e *env) {
			tag := e.put(key("a"), "old", "old")
			w := e.replace(tag)
			e.noError("UpdateMeta", e.storage.UpdateMeta(e.ctx, key("a"), meta("updated"), tag))
			e.finish(w)
			e.want(key("a"), "new", "new")
		},
	},
}

// replace begins a write for key a that replaces the entry with this tag.
func (e *env) replace(tag cirque.Tag) cirque.MissHandler {
	e.Helper()
	w := e.begin(key("a"), meta("new"), cirque.MissOptions{SizeHint: 3, Replaces: tag})
	e.append(w, []byte("new"))
	return w
}
