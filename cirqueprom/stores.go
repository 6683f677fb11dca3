package cirqueprom

import (
	"fmt"
	"strconv"

	"github.com/cirquecache/cirque/stats"
)

// storeFamilies are the families about what is stored.
func storeFamilies() []*family {
	return append([]*family{
		gauge("entries", "Stored responses.", labels{"store"},
			eachStore(func(store *stats.Storage, name string, put putNumber) { putKnown(store.Entries, put, name) })),
		gauge("bytes", "Bytes that count against the limit, by what they are for.", labels{"store", "part"},
			eachStore(func(store *stats.Storage, name string, put putNumber) {
				putKnown(store.Bytes.Entries, put, name, "entries")
				putKnown(store.Bytes.Index, put, name, "index")
				putKnown(store.Bytes.InFlight, put, name, "inflight")
				putKnown(store.Bytes.Open, put, name, "open")
			})),
		gauge("off_heap_bytes", "Memory of the store outside of the Go heap: used, or free and not given back to the system.", labels{"store", "state"},
			eachStore(func(store *stats.Storage, name string, put putNumber) {
				put(float64(store.OffHeap.Used), name, "used")
				put(float64(store.OffHeap.Free), name, "free")
			})),
		gauge("limit_bytes", "Limit on the bytes of the store. Missing if there is none.", labels{"store"},
			eachStore(func(store *stats.Storage, name string, put putNumber) {
				if store.Limit > 0 {
					put(float64(store.Limit), name)
				}
			})),
		counter("refused_total", "Reservations for which there was no room in the store.", labels{"store"},
			eachStore(func(store *stats.Storage, name string, put putNumber) { put(float64(store.Refused), name) })),
		histogram("storage_op_seconds", "Time of a sample of the store's operations.", labels{"store", "op"}, secondsOfOperations,
			func(s *stats.Snapshot, put putHistogram) {
				for i, name := range storeNames(s) {
					for op, o := range s.Storage[i].Operations {
						put(o.Time, name, op)
					}
				}
			}),
		counter("storage_op_errors_total", "Failures of the store's operations, as the store saw them.", labels{"store", "op"},
			eachStore(func(store *stats.Storage, name string, put putNumber) {
				for op, o := range store.Operations {
					put(float64(o.Errors), name, op)
				}
			})),
		counter("storage_errors_total", "Failures of the Storage, as requests met them.", labels{"op"},
			func(s *stats.Snapshot, put putNumber) { putByName(s.StorageErrors, storageOperations, put) }),
	}, evictionFamilies()...)
}

// evictionFamilies are the families about the eviction policy. They are empty if the Storage looks
// after itself.
func evictionFamilies() []*family {
	return []*family{
		gauge("eviction_info", "The eviction policy. The value is 1.", labels{"policy"},
			evictions(func(e *stats.Eviction, put putNumber) { put(1, e.Policy) })),
		gauge("eviction_entries", "Responses that the policy tracks.", nil,
			evictions(func(e *stats.Eviction, put putNumber) { put(float64(e.Entries)) })),
		gauge("eviction_bytes", "Bytes that the policy tracks.", nil,
			evictions(func(e *stats.Eviction, put putNumber) { put(float64(e.Bytes)) })),
		gauge("eviction_limit_bytes", "Limit of the policy on the bytes that it tracks. Missing if there is none.", nil,
			evictions(func(e *stats.Eviction, put putNumber) {
				if e.Limit > 0 {
					put(float64(e.Limit))
				}
			})),
		counter("evicted_total", "Responses that had to leave for others.", nil,
			evictions(func(e *stats.Eviction, put putNumber) { put(float64(e.Evicted)) })),
		counter("evicted_bytes_total", "Bytes of the responses that had to leave for others.", nil,
			evictions(func(e *stats.Eviction, put putNumber) { put(float64(e.EvictedBytes)) })),
		counter("evicted_unused_total", "Evicted responses that were never read after they had been stored.", nil,
			evictions(func(e *stats.Eviction, put putNumber) { put(float64(e.Unused)) })),
		histogram("evicted_age_seconds", "Time from the storing of a response to its eviction.", nil, secondsOfAges,
			func(s *stats.Snapshot, put putHistogram) {
				if s.Eviction != nil {
					put(s.Eviction.Age)
				}
			}),
		counter("declined_total", "Responses that the policy did not keep, since others are worth more or they were too large.", nil,
			evictions(func(e *stats.Eviction, put putNumber) { put(float64(e.Declined)) })),
		counter("declined_bytes_total", "Bytes of the responses that the policy did not keep.", nil,
			evictions(func(e *stats.Eviction, put putNumber) { put(float64(e.DeclinedBytes)) })),
		gauge("curve_hit_ratio", "Estimated share of requests that would be hits with a limit of so many bytes.", labels{"size"},
			func(s *stats.Snapshot, put putNumber) {
				for _, p := range s.Curve {
					put(p.HitRatio, strconv.FormatInt(p.Size, 10))
				}
			}),
		gauge("curve_byte_hit_ratio", "Estimated share of bytes that hits would send with a limit of so many bytes.", labels{"size"},
			func(s *stats.Snapshot, put putNumber) {
				for _, p := range s.Curve {
					put(p.ByteHitRatio, strconv.FormatInt(p.Size, 10))
				}
			}),
	}
}

// eachStore returns what reads all stores of a Snapshot by read.
func eachStore(read func(store *stats.Storage, name string, put putNumber)) func(*stats.Snapshot, putNumber) {
	return func(s *stats.Snapshot, put putNumber) {
		for i, name := range storeNames(s) {
			read(&s.Storage[i], name, put)
		}
	}
}

// storeNames returns the names of the stores of s. The second store of a name has a number after
// it: no two series may have the same labels.
func storeNames(s *stats.Snapshot) []string {
	names, known := make([]string, len(s.Storage)), make(map[string]bool)
	for i := range s.Storage {
		name := s.Storage[i].Name
		for n := 2; known[name]; n++ {
			name = fmt.Sprintf("%s-%d", s.Storage[i].Name, n)
		}
		known[name] = true
		names[i] = name
	}
	return names
}

// putKnown puts value unless the store does not know it.
func putKnown(value int64, put putNumber, labels ...string) {
	if value >= 0 {
		put(float64(value), labels...)
	}
}

func evictions(read func(e *stats.Eviction, put putNumber)) func(*stats.Snapshot, putNumber) {
	return func(s *stats.Snapshot, put putNumber) {
		if s.Eviction != nil {
			read(s.Eviction, put)
		}
	}
}
