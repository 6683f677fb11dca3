package storagetest

import "github.com/cirquecache/cirque"

var reopenCases = []testCase{
	{
		name:  "ReopenKeepsEntries",
		rule:  "a store that persists has its entries again after it was reopened, and no new write gets the tag of one of them",
		needs: needReopen,
		run: func(e *env) {
			w := e.begin(key("a"), fullMeta(), cirque.MissOptions{SizeHint: -1})
			e.append(w, pattern(100_000))
			e.finish(w)
			e.put(key("purged"), "purged", "purged")
			e.purge(key("purged"), cirque.PurgeInvalidation)
			e.use(e.features.Reopen(e.TB, e.storage))
			m, h := e.lookup(key("a"))
			e.sameMeta(m, fullMeta())
			e.wantBody(h, pattern(100_000))
			e.wantMiss(key("purged"))
			if again := e.write(key("b"), "b", "b"); h.Tag() == 0 || again.Tag() == h.Tag() {
				e.broken("the entry has tag %d, a new write got %d", h.Tag(), again.Tag())
			}
			e.noError("UpdateMeta", e.storage.UpdateMeta(e.ctx, key("a"), meta("new"), h.Tag()))
		},
	},
	{
		name:  "ReopenDropsUnfinished",
		rule:  "a write that was not finished leaves nothing behind when the store is reopened",
		needs: needReopen,
		run: func(e *env) {
			e.write(key("a"), "a", "half a body")
			e.write(key("b"), "b", "aborted").Abort()
			e.use(e.features.Reopen(e.TB, e.storage))
			e.wantMiss(key("a"))
			e.wantMiss(key("b"))
		},
	},
}
