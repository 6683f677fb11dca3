package storagetest

import "github.com/cirquecache/cirque"

var keyCases = []testCase{
	{
		name: "UnknownKey",
		rule: "every method that finds no entry returns ErrNotFound",
		run: func(e *env) {
			e.put(key("other"), "other", "other")
			e.wantMiss(key("a"))
			e.wantError("Purge", e.storage.Purge(e.ctx, key("a").Compact(), cirque.PurgeInvalidation), cirque.ErrNotFound)
			e.wantError("UpdateMeta", e.storage.UpdateMeta(e.ctx, key("a"), meta("a"), 1), cirque.ErrNotFound)
		},
	},
	{
		name: "Variants",
		rule: "each variant of a primary key is an entry of its own, and so is the primary slot",
		run: func(e *env) {
			a, b := key("a").WithVariance(varianceA), key("a").WithVariance(varianceB)
			e.put(a, "variant a", "body of a")
			e.wantMiss(key("a"))
			e.wantMiss(b)
			e.put(b, "variant b", "body of b")
			e.put(key("a"), "primary", "body of neither")
			e.want(a, "variant a", "body of a")
			e.want(b, "variant b", "body of b")
			e.want(key("a"), "primary", "body of neither")
		},
	},
	{
		name: "Namespaces",
		rule: "equal primary keys of different namespaces name different entries",
		run: func(e *env) {
			a, b := cirque.NewCacheKey("a", "/path", ""), cirque.NewCacheKey("b", "/path", "")
			e.put(a, "in a", "body of a")
			e.wantMiss(b)
			e.put(b, "in b", "body of b")
			e.want(a, "in a", "body of a")
		},
	},
	{
		name: "CollidingHash",
		rule: "an entry whose key text differs from the key's is not the key's entry, even if their hashes collide",
		run: func(e *env) {
			mine, other := colliding()
			tag := e.put(other, "other", "somebody else's")
			e.wantMiss(mine)
			e.wantError("UpdateMeta", e.storage.UpdateMeta(e.ctx, mine, meta("mine"), tag), cirque.ErrNotFound)
			e.want(other, "other", "somebody else's")
		},
	},
	{
		name: "CollidingHashOfVariants",
		rule: "an entry whose key text differs from the key's is not the key's entry, also in the slot of a variant",
		run: func(e *env) {
			mine, other := colliding()
			e.put(other.WithVariance(varianceA), "other", "somebody else's")
			e.wantMiss(mine.WithVariance(varianceA))
		},
	},
	{
		name: "UserTag",
		rule: "the user tag names the user of an entry; Lookup and Purge ignore it",
		run: func(e *env) {
			e.put(cirque.NewCacheKey("n", "/path", "alice"), "a", "body")
			e.want(cirque.NewCacheKey("n", "/path", "bob"), "a", "body")
			e.purge(cirque.NewCacheKey("n", "/path", ""), cirque.PurgeInvalidation)
			e.wantMiss(cirque.NewCacheKey("n", "/path", "alice"))
		},
	},
}

// colliding returns two keys that differ in text only.
func colliding() (a, b cirque.CacheKey) {
	hash := cirque.HashBinary{1, 2, 3}
	return key("a").WithPrimaryHash(hash), key("b").WithPrimaryHash(hash)
}
