package console

import (
	"time"

	"github.com/cirquecache/cirque/stats"
)

// view is what the page shows of one cache at one moment.
type view struct {
	Cache  string `json:"cache"`
	At     int64  `json:"at"`    // Unix milliseconds, as all times here
	Since  int64  `json:"since"` // when the cache was made
	Window int    `json:"window"`
	Step   int    `json:"step"` // seconds

	Series *series `json:"series"`
	Totals totals  `json:"totals"` // of the window
	Now    present `json:"now"`
	Curve  *curve  `json:"curve"`

	Fills    []stats.Fill `json:"fills"`
	Purges   []purge      `json:"purges"`
	Uncached []uncached   `json:"uncached"`
	Recorded recorded     `json:"recorded"`
	Tail     []record     `json:"tail"` // since the last view of this stream, the oldest first
	Missed   int          `json:"missed"`
}

// totals are sums over the window.
type totals struct {
	Seconds   float64  `json:"seconds"` // how much of the window is known
	Requests  uint64   `json:"requests"`
	Bytes     uint64   `json:"bytes"`
	Origin    uint64   `json:"origin"` // requests that the origin answered, or should have
	HitRatio  number   `json:"hit_ratio"`
	ByteRatio number   `json:"byte_ratio"`
	Results   []result `json:"results"`

	Fills         uint64 `json:"fills"`
	LockWaits     uint64 `json:"lock_waits"`
	LockMedian    number `json:"lock_median"` // milliseconds
	Lock99        number `json:"lock_p99"`
	Evicted       uint64 `json:"evicted"`
	EvictedBytes  uint64 `json:"evicted_bytes"`
	Unused        uint64 `json:"unused"`
	AgeMedian     number `json:"age_median"` // seconds
	NotModified   uint64 `json:"not_modified"`
	Replaced      uint64 `json:"replaced"`
	Failed        uint64 `json:"failed"`
	StorageErrors uint64 `json:"storage_errors"`
	Background    uint64 `json:"background_failures"`
}

// result is what there was of one result.
type result struct {
	Name     string `json:"name"`
	Requests uint64 `json:"requests"`
	Bytes    uint64 `json:"bytes"`
	P50      number `json:"p50"` // time to the first byte, in milliseconds
	P90      number `json:"p90"`
	P99      number `json:"p99"`
}

// present is what there is now.
type present struct {
	Policy           string `json:"policy,omitempty"`
	InFlight         int    `json:"in_flight"`
	Readers          int    `json:"readers"`
	MaxFills         int    `json:"max_fills"`
	Revalidations    int    `json:"revalidations"`
	MaxRevalidations int    `json:"max_revalidations"`
}

// viewOf returns what s shows at now, of the time of this length before.
func (s *source) viewOf(length time.Duration, now time.Time) *view {
	points, last := s.history.since(now.Add(-length))
	w := windowFor(length, 0)
	if len(points) > 0 {
		w = windowFor(length, now.Sub(points[0].from))
	}
	v := &view{
		Cache: s.name, At: now.UnixMilli(), Since: last.Since.UnixMilli(),
		Window: int(length / time.Second), Step: int(w.step / time.Second),
		Series: seriesOf(points, w, now, storeNames(last)),
		Curve:  curveOf(last),
		Fills:  s.cache.Fills(), Purges: s.latestPurges(),
		Now: present{
			InFlight: last.Fills.InFlight, Readers: last.Fills.Readers, MaxFills: last.Fills.Max,
			Revalidations: last.Revalidations.InFlight, MaxRevalidations: last.Revalidations.Max,
		},
	}
	if last.Eviction != nil {
		v.Now.Policy = last.Eviction.Policy
	}
	for i := range v.Fills {
		v.Fills[i].URL, _ = plain(v.Fills[i].URL)
	}
	v.Fills = v.Fills[:min(len(v.Fills), maxRows)]
	var sum point
	for i, p := range points {
		if i == 0 {
			sum = p
		} else {
			sum = sum.then(p)
		}
	}
	v.Totals = totalsOf(&sum)
	v.Recorded, v.Uncached = s.recorded(sum.uncached)
	return v
}

// storeNames returns the names of the stores, as levelOf has them.
func storeNames(s *stats.Snapshot) (names []string) {
	for _, store := range s.Storage[:min(len(s.Storage), maxStores)] {
		names = append(names, store.Name)
	}
	if len(names) == 0 && s.Eviction != nil {
		names = []string{"entries"}
	}
	return names
}

func totalsOf(p *point) totals {
	t := totals{
		Seconds: p.to.Sub(p.from).Seconds(),
		Fills:   p.fills, LockWaits: p.lockWaits,
		LockMedian: quantile(p.lockTime, 0.5, 1000), Lock99: quantile(p.lockTime, 0.99, 1000),
		Evicted: p.evicted, EvictedBytes: p.evictedBytes, Unused: p.unused, AgeMedian: quantile(p.age, 0.5, 1),
		NotModified: p.notModified, Replaced: p.replaced, Failed: p.failed,
		StorageErrors: p.storageErrors, Background: p.background, Results: []result{},
	}
	var requests, bytes [results]float64
	for i, r := range stats.Results() {
		requests[i], bytes[i] = float64(p.requests[i]), float64(p.bytes[i])
		t.Requests += p.requests[i]
		t.Bytes += p.bytes[i]
		if !r.FromCache() || r == stats.Revalidated {
			t.Origin += p.requests[i]
		}
		if h := p.firstByte[i]; p.requests[i] > 0 {
			t.Results = append(t.Results, result{
				Name: r.String(), Requests: p.requests[i], Bytes: p.bytes[i],
				P50: quantile(h, 0.5, 1000), P90: quantile(h, 0.9, 1000), P99: quantile(h, 0.99, 1000),
			})
		}
	}
	t.HitRatio, t.ByteRatio = ratio(hits(&requests)), ratio(hits(&bytes))
	return t
}
