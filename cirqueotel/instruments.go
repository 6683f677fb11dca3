package cirqueotel

import (
	"strconv"

	"github.com/cirquecache/cirque/stats"
)

// instruments returns the observable instruments, which are not made yet.
func instruments() []instrument {
	return append(append(requestInstruments(), fillInstruments()...), storeInstruments()...)
}

func requestInstruments() []instrument {
	return []instrument{
		{name: "cirque.start_time", unit: "s", help: "When the cache was made, in seconds since 1970.", kind: value,
			read: func(s *stats.Snapshot, put put) { put(float64(s.Since.UnixMilli()) / 1000) }},
		{name: "cirque.requests", unit: "{request}", help: "Requests that were answered, by how they were.",
			read: func(s *stats.Snapshot, put put) {
				for door, results := range s.Requests {
					for result, n := range results {
						put(float64(n), "door", door.String(), "result", result.String())
					}
				}
			}},
		{name: "cirque.response.bytes", unit: "By", help: "Bytes of bodies that clients got, by where they came from.",
			read: func(s *stats.Snapshot, put put) {
				for result, n := range s.Bytes {
					source := "origin"
					if result.FromCache() {
						source = "cache"
					}
					put(float64(n), "source", source, "result", result.String())
				}
			}},
		{name: "cirque.uncached", unit: "{response}", help: "Responses of the origin that were not stored, by the reason.",
			read: func(s *stats.Snapshot, put put) { putByName(s.Uncached, "reason", put) }},
		{name: "cirque.lock_waits", unit: "{wait}", help: "Waits for the fill of another request, by how they ended.",
			read: func(s *stats.Snapshot, put put) {
				for _, waits := range s.LockWaits {
					put(float64(waits.Time.Count), "status", word(waits.Status))
				}
			}},
		{name: "cirque.variants.lookups", unit: "{lookup}", help: "Lookups that found several stored variants, in the sample.",
			read: func(s *stats.Snapshot, put put) { put(float64(s.Variants.Count)) }},
		{name: "cirque.variants.found", unit: "{variant}", help: "Stored variants that these lookups found together.", kind: sum,
			read: func(s *stats.Snapshot, put put) { put(s.Variants.Sum) }},
		{name: "cirque.purges", unit: "{purge}", help: "Purges, by what they were of and whether they succeeded.",
			read: func(s *stats.Snapshot, put put) {
				for _, p := range s.Purges {
					soft := strconv.FormatBool(p.Soft)
					put(float64(p.Done), "kind", p.Kind, "soft", soft, "result", "done")
					put(float64(p.NotFound), "kind", p.Kind, "soft", soft, "result", "not-found")
					put(float64(p.Failed), "kind", p.Kind, "soft", soft, "result", "failed")
				}
			}},
		{name: "cirque.background_failures", unit: "{failure}", help: "Panics and errors of work that no client waits for.",
			read: func(s *stats.Snapshot, put put) { put(float64(s.BackgroundFailures)) }},
	}
}

func fillInstruments() []instrument {
	return []instrument{
		{name: "cirque.origin.requests", unit: "{request}", help: "Requests that the cache sent to the origin.",
			read: func(s *stats.Snapshot, put put) { put(float64(s.Origin.Requests)) }},
		{name: "cirque.origin.unused", unit: "{request}", help: "Requests to the origin that brought no answer for a client, by the reason.",
			read: func(s *stats.Snapshot, put put) {
				put(float64(s.Origin.Failed), "outcome", "failed")
				put(float64(s.Origin.Again), "outcome", "again")
				put(float64(s.Origin.StoodIn), "outcome", "stood-in")
			}},
		{name: "cirque.fills.started", unit: "{fill}", help: "Responses that the cache began to store.",
			read: func(s *stats.Snapshot, put put) { put(float64(s.Fills.Started)) }},
		{name: "cirque.fills.ended", unit: "{fill}", help: "Responses that the cache began to store, by how that ended.",
			read: func(s *stats.Snapshot, put put) { putByName(s.Fills.Done, "outcome", put) }},
		{name: "cirque.fills.bytes", unit: "By", help: "Bytes of bodies that came from the origin to be stored.",
			read: func(s *stats.Snapshot, put put) { put(float64(s.Fills.Bytes)) }},
		{name: "cirque.fills.inflight", unit: "{fill}", help: "Responses that are being stored.", kind: gauge,
			read: func(s *stats.Snapshot, put put) { put(float64(s.Fills.InFlight)) }},
		{name: "cirque.fills.max", unit: "{fill}", help: "How many responses may be being stored at one time.", kind: gauge,
			read: func(s *stats.Snapshot, put put) { put(float64(s.Fills.Max)) }},
		{name: "cirque.fills.readers", unit: "{client}", help: "Clients that read a response while it is being stored.", kind: gauge,
			read: func(s *stats.Snapshot, put put) { put(float64(s.Fills.Readers)) }},
		{name: "cirque.revalidations.ended", unit: "{request}", help: "Requests to the origin that validate a stored response, by what came of them.",
			read: func(s *stats.Snapshot, put put) {
				for where, o := range map[string]stats.Outcomes{"foreground": s.Revalidations.Foreground, "background": s.Revalidations.Background} {
					put(float64(o.NotModified), "where", where, "result", "not-modified")
					put(float64(o.Replaced), "where", where, "result", "replaced")
					put(float64(o.Failed), "where", where, "result", "failed")
				}
			}},
		{name: "cirque.revalidations.inflight", unit: "{request}", help: "Background revalidations under way.", kind: gauge,
			read: func(s *stats.Snapshot, put put) { put(float64(s.Revalidations.InFlight)) }},
		{name: "cirque.revalidations.max", unit: "{request}", help: "How many background revalidations there may be at one time.", kind: gauge,
			read: func(s *stats.Snapshot, put put) { put(float64(s.Revalidations.Max)) }},
	}
}

func storeInstruments() []instrument {
	return []instrument{
		{name: "cirque.store.entries", unit: "{response}", help: "Stored responses.", kind: gauge,
			read: eachStore(func(store *stats.Storage, put put) { putKnown(store.Entries, put) })},
		{name: "cirque.store.bytes", unit: "By", help: "Bytes that count against the limit, by what they are for.", kind: gauge,
			read: eachStore(func(store *stats.Storage, put put) {
				putKnown(store.Bytes.Entries, put, "part", "entries")
				putKnown(store.Bytes.Index, put, "part", "index")
				putKnown(store.Bytes.InFlight, put, "part", "inflight")
				putKnown(store.Bytes.Open, put, "part", "open")
			})},
		{name: "cirque.store.off_heap", unit: "By", help: "Memory of the store outside of the Go heap.", kind: gauge,
			read: eachStore(func(store *stats.Storage, put put) {
				put(float64(store.OffHeap.Used), "state", "used")
				put(float64(store.OffHeap.Free), "state", "free")
			})},
		{name: "cirque.store.limit", unit: "By", help: "Limit on the bytes of the store. Missing if there is none.", kind: gauge,
			read: eachStore(func(store *stats.Storage, put put) {
				if store.Limit > 0 {
					put(float64(store.Limit))
				}
			})},
		{name: "cirque.store.refused", unit: "{reservation}", help: "Reservations for which there was no room in the store.",
			read: eachStore(func(store *stats.Storage, put put) { put(float64(store.Refused)) })},
		{name: "cirque.store.op.errors", unit: "{operation}", help: "Failures of the store's operations, as the store saw them.",
			read: eachOperation(func(o stats.Operation) float64 { return float64(o.Errors) })},
		{name: "cirque.store.op.sampled", unit: "{operation}", help: "Operations of the store in the sample.",
			read: eachOperation(func(o stats.Operation) float64 { return float64(o.Time.Count) })},
		{name: "cirque.store.op.time", unit: "s", help: "Time of the operations in the sample together.", kind: sum,
			read: eachOperation(func(o stats.Operation) float64 { return o.Time.Sum })},
		{name: "cirque.storage.errors", unit: "{operation}", help: "Failures of the Storage, as requests met them.",
			read: func(s *stats.Snapshot, put put) { putByName(s.StorageErrors, "op", put) }},
		{name: "cirque.eviction.entries", unit: "{response}", help: "Responses that the policy tracks.", kind: gauge,
			read: evictions(func(e *stats.Eviction) float64 { return float64(e.Entries) })},
		{name: "cirque.eviction.bytes", unit: "By", help: "Bytes that the policy tracks.", kind: gauge,
			read: evictions(func(e *stats.Eviction) float64 { return float64(e.Bytes) })},
		{name: "cirque.eviction.limit", unit: "By", help: "Limit of the policy on the bytes that it tracks.", kind: gauge,
			read: evictions(func(e *stats.Eviction) float64 { return float64(e.Limit) })},
		{name: "cirque.evicted.count", unit: "{response}", help: "Responses that had to leave for others.",
			read: evictions(func(e *stats.Eviction) float64 { return float64(e.Evicted) })},
		{name: "cirque.evicted.bytes", unit: "By", help: "Bytes of the responses that had to leave for others.",
			read: evictions(func(e *stats.Eviction) float64 { return float64(e.EvictedBytes) })},
		{name: "cirque.evicted.unused", unit: "{response}", help: "Evicted responses that were never read after they had been stored.",
			read: evictions(func(e *stats.Eviction) float64 { return float64(e.Unused) })},
		{name: "cirque.evicted.aged", unit: "{response}", help: "Evicted responses whose age is known.",
			read: evictions(func(e *stats.Eviction) float64 { return float64(e.Age.Count) })},
		{name: "cirque.evicted.age", unit: "s", help: "Time from storing to eviction, of these together.", kind: sum,
			read: evictions(func(e *stats.Eviction) float64 { return e.Age.Sum })},
		{name: "cirque.declined.count", unit: "{response}", help: "Responses that the policy did not keep, since others are worth more or they were too large.",
			read: evictions(func(e *stats.Eviction) float64 { return float64(e.Declined) })},
		{name: "cirque.declined.bytes", unit: "By", help: "Bytes of the responses that the policy did not keep.",
			read: evictions(func(e *stats.Eviction) float64 { return float64(e.DeclinedBytes) })},
		{name: "cirque.curve.hit_ratio", unit: "1", help: "Estimated share of requests that would be hits with a limit of so many bytes.", kind: value,
			read: func(s *stats.Snapshot, put put) {
				for _, p := range s.Curve {
					put(p.HitRatio, "size", strconv.FormatInt(p.Size, 10))
				}
			}},
		{name: "cirque.curve.byte_hit_ratio", unit: "1", help: "Estimated share of bytes that hits would send with a limit of so many bytes.", kind: value,
			read: func(s *stats.Snapshot, put put) {
				for _, p := range s.Curve {
					put(p.ByteHitRatio, "size", strconv.FormatInt(p.Size, 10))
				}
			}},
	}
}

// putByName puts the counts, with their names as an attribute.
func putByName(counts map[string]uint64, attribute string, put put) {
	for name, n := range counts {
		put(float64(n), attribute, name)
	}
}

// putKnown puts value unless the store does not know it.
func putKnown(value int64, put put, pairs ...string) {
	if value >= 0 {
		put(float64(value), pairs...)
	}
}

// eachStore returns what reads all stores of a Snapshot by read. The attribute store has their
// names.
func eachStore(read func(store *stats.Storage, put put)) func(*stats.Snapshot, put) {
	return func(s *stats.Snapshot, put put) {
		known := make(map[string]bool)
		for i := range s.Storage {
			store := &s.Storage[i]
			name := store.Name
			for n := 2; known[name]; n++ {
				name = store.Name + "-" + strconv.Itoa(n)
			}
			known[name] = true
			read(store, func(v float64, pairs ...string) { put(v, append([]string{"store", name}, pairs...)...) })
		}
	}
}

// eachOperation returns what reads one number of all operations of all stores.
func eachOperation(number func(stats.Operation) float64) func(*stats.Snapshot, put) {
	return eachStore(func(store *stats.Storage, put put) {
		for name, o := range store.Operations {
			put(number(o), "op", name)
		}
	})
}

// evictions returns what reads one number of the policy. The attribute policy has its name.
func evictions(number func(*stats.Eviction) float64) func(*stats.Snapshot, put) {
	return func(s *stats.Snapshot, put put) {
		if s.Eviction != nil {
			put(number(s.Eviction), "policy", s.Eviction.Policy)
		}
	}
}
