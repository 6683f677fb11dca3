package cirqueprom

import (
	"strconv"
	"strings"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/stats"
)

// requestFamilies are the families about requests and what they led to.
func requestFamilies() []*family {
	return []*family{
		gauge("start_time_seconds", "When the cache was made, in seconds since 1970.", nil,
			func(s *stats.Snapshot, put putNumber) { put(float64(s.Since.UnixMilli()) / 1000) }),
		counter("requests_total", "Requests that were answered, by how they were.", labels{"door", "result"},
			func(s *stats.Snapshot, put putNumber) {
				for door, results := range s.Requests {
					for result, n := range results {
						put(float64(n), door.String(), result.String())
					}
				}
			}),
		histogram("first_byte_seconds", "Time from the request to the header of its answer.", labels{"result"}, secondsOfRequests,
			func(s *stats.Snapshot, put putHistogram) { putByResult(s.FirstByte, put) }),
		histogram("request_duration_seconds", "Time from the request to the end of its answer.", labels{"result"}, secondsOfRequests,
			func(s *stats.Snapshot, put putHistogram) { putByResult(s.Duration, put) }),
		counter("response_bytes_total", "Bytes of bodies that clients got, by where they came from.", labels{"source", "result"},
			func(s *stats.Snapshot, put putNumber) {
				for result, n := range s.Bytes {
					source := "origin"
					if result.FromCache() {
						source = "cache"
					}
					put(float64(n), source, result.String())
				}
			}),
		counter("uncached_total", "Responses of the origin that were not stored, by the reason.", labels{"reason"},
			func(s *stats.Snapshot, put putNumber) { putByName(s.Uncached, nil, put) }),
		counter("fills_started_total", "Responses that the cache began to store.", nil,
			func(s *stats.Snapshot, put putNumber) { put(float64(s.Fills.Started)) }),
		counter("fills_total", "Responses that the cache began to store, by how that ended.", labels{"outcome"},
			func(s *stats.Snapshot, put putNumber) { putByName(s.Fills.Done, fillOutcomes, put) }),
		counter("fill_bytes_total", "Bytes of bodies that came from the origin to be stored.", nil,
			func(s *stats.Snapshot, put putNumber) { put(float64(s.Fills.Bytes)) }),
		gauge("fills_inflight", "Responses that are being stored.", nil,
			func(s *stats.Snapshot, put putNumber) { put(float64(s.Fills.InFlight)) }),
		gauge("fills_max", "How many responses may be being stored at one time.", nil,
			func(s *stats.Snapshot, put putNumber) { put(float64(s.Fills.Max)) }),
		gauge("fill_readers", "Clients that read a response while it is being stored.", nil,
			func(s *stats.Snapshot, put putNumber) { put(float64(s.Fills.Readers)) }),
		counter("lock_waits_total", "Waits for the fill of another request, by how they ended.", labels{"status"},
			func(s *stats.Snapshot, put putNumber) {
				putWaits(s, func(h stats.Histogram, labels ...string) { put(float64(h.Count), labels...) })
			}),
		histogram("lock_wait_seconds", "Time of the waits for the fill of another request.", labels{"status"}, secondsOfRequests, putWaits),
		counter("revalidations_total", "Requests to the origin that validate a stored response, by what came of them.", labels{"where", "result"},
			func(s *stats.Snapshot, put putNumber) {
				for where, o := range map[string]stats.Outcomes{"foreground": s.Revalidations.Foreground, "background": s.Revalidations.Background} {
					put(float64(o.NotModified), where, "not-modified")
					put(float64(o.Replaced), where, "replaced")
					put(float64(o.Failed), where, "failed")
				}
			}),
		gauge("revalidations_inflight", "Background revalidations under way.", nil,
			func(s *stats.Snapshot, put putNumber) { put(float64(s.Revalidations.InFlight)) }),
		gauge("revalidations_max", "How many background revalidations there may be at one time.", nil,
			func(s *stats.Snapshot, put putNumber) { put(float64(s.Revalidations.Max)) }),
		counter("purges_total", "Purges, by what they were of and whether they succeeded.", labels{"kind", "soft", "result"},
			func(s *stats.Snapshot, put putNumber) {
				for _, p := range s.Purges {
					soft := strconv.FormatBool(p.Soft)
					put(float64(p.Done), p.Kind, soft, "done")
					put(float64(p.NotFound), p.Kind, soft, "not-found")
					put(float64(p.Failed), p.Kind, soft, "failed")
				}
			}),
		histogram("vary_variants", "Stored variants of a URL, where a lookup found several to choose from.", nil, variants,
			func(s *stats.Snapshot, put putHistogram) { put(s.Variants) }),
		counter("background_failures_total", "Panics and errors of work that no client waits for.", nil,
			func(s *stats.Snapshot, put putNumber) { put(float64(s.BackgroundFailures)) }),
	}
}

func putByResult(all map[stats.Result]stats.Histogram, put putHistogram) {
	for result, h := range all {
		put(h, result.String())
	}
}

// putByName puts the counts by name, and a zero for each known name without a count.
func putByName(counts map[string]uint64, known []string, put putNumber) {
	for _, name := range known {
		if _, counted := counts[name]; !counted {
			put(0, name)
		}
	}
	for name, n := range counts {
		put(float64(n), name)
	}
}

// putWaits puts the lock waits of each status, those of which there was none too.
func putWaits(s *stats.Snapshot, put putHistogram) {
	counted := make(map[string]bool)
	for _, waits := range s.LockWaits {
		counted[waits.Status] = true
		put(waits.Time, word(waits.Status))
	}
	for _, status := range lockStatuses {
		if !counted[status] {
			put(stats.Histogram{}, word(status))
		}
	}
}

// fillOutcomes and storageOperations are the words that middleware.Cache has for the outcomes of
// fills, and for the operations in which a Storage can fail.
var (
	fillOutcomes      = []string{"stored", "superseded", "purged", "too-large", "storage-error", "upstream-error", "other"}
	storageOperations = []string{"lookup", "miss", "finish", "update", "purge"}
)

// lockStatuses are the names of all statuses.
var lockStatuses = func() (names []string) {
	for status := cirque.LockWaiting; !strings.HasPrefix(status.String(), "LockStatus("); status++ {
		names = append(names, status.String())
	}
	return names
}()

// word returns name, which has capitals within, as other labels are: in lower case, with hyphens.
func word(name string) string {
	var b strings.Builder
	for i, r := range name {
		if 'A' <= r && r <= 'Z' {
			if i > 0 {
				b.WriteByte('-')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
