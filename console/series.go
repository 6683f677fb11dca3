package console

import (
	"math"
	"strconv"
	"time"

	"github.com/cirquecache/cirque/stats"
)

// window is how far back the plots go, and how long one of their steps is.
type window struct{ length, step time.Duration }

// windows are the lengths that a page can choose, by their seconds.
var windows = map[string]time.Duration{"60": time.Minute, "300": 5 * time.Minute, "900": 15 * time.Minute, "3600": time.Hour}

const defaultWindow = 5 * time.Minute

// windowFor returns a window of this length in sixty steps. Where less than that is known, it is
// shorter, but no less than a minute: a plot that is almost empty shows little.
func windowFor(length, known time.Duration) window {
	length = min(length, max(known, time.Minute))
	for _, step := range []time.Duration{1, 2, 5, 10, 15, 30} {
		if step *= time.Second; length <= 60*step {
			return window{length.Truncate(step), step}
		}
	}
	return window{length.Truncate(time.Minute), time.Minute}
}

// number is a float64 that JSON can hold: NaN is null, and digits that no plot shows are left out.
type number float64

var unknown = number(math.NaN())

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(n), 'g', 5, 64), nil
}

// ratio returns a/b, or unknown if b is zero.
func ratio(a, b float64) number {
	if b == 0 {
		return unknown
	}
	return number(a / b)
}

// series are the plots. Each list has one element for each of Times; null where nothing is known.
type series struct {
	Times     []int64                        `json:"times"`     // Unix milliseconds, the end of each step
	Requests  map[string][]number            `json:"requests"`  // a second, by result
	HitRatio  []number                       `json:"hit_ratio"` // 0 to 1
	ByteRatio []number                       `json:"byte_ratio"`
	FirstByte map[string]map[string][]number `json:"first_byte"` // milliseconds, by quantile and result
	Stores    []storeSeries                  `json:"stores"`
	Evicted   []number                       `json:"evicted"` // entries a second
	Age       []number                       `json:"age"`     // median of what was evicted, in seconds
	InFlight  []number                       `json:"in_flight"`
	Readers   []number                       `json:"readers"`
	Waits     []number                       `json:"waits"`     // lock waits a second
	WaitTime  []number                       `json:"wait_time"` // their median, in milliseconds
}

// storeSeries is what one store has, in bytes.
type storeSeries struct {
	Name     string   `json:"name"`
	Entries  []number `json:"entries"`
	Index    []number `json:"index"`
	InFlight []number `json:"in_flight"`
	Open     []number `json:"open"`
	Limit    int64    `json:"limit"`
	Count    int64    `json:"count"`
}

// quantiles are those that the page shows, by name.
var quantiles = []struct {
	name string
	q    float64
}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}}

// bin is what happened in one step of the plots.
type bin struct {
	covered   time.Duration // of the step; zero: nothing is known
	requests  [results]float64
	bytes     [results]float64
	firstByte [results]stats.Histogram
	evicted   float64
	age       stats.Histogram
	waits     float64
	waitTime  stats.Histogram
	level     level
}

// binsOf puts points into the steps of w, up to now. A point that is longer than a step counts in
// each, by their share of it.
func binsOf(points []point, w window, now time.Time) (bins []bin, first time.Time) {
	end := now.Truncate(w.step)
	if now.Sub(end) > w.step/4 {
		end = end.Add(w.step) // the step under way, if enough of it is over
	}
	first = end.Add(-w.length)
	bins = make([]bin, w.length/w.step)
	for i := range points {
		p := &points[i]
		length := p.to.Sub(p.from)
		if length <= 0 {
			continue
		}
		at := max(0, int(p.from.Sub(first)/w.step))
		for ; at < len(bins); at++ {
			from := first.Add(time.Duration(at) * w.step)
			overlap := min(w.step, p.to.Sub(from), from.Add(w.step).Sub(p.from), length)
			if overlap <= 0 {
				break
			}
			bins[at].add(p, overlap, float64(overlap)/float64(length))
		}
	}
	return bins, first
}

// add adds this share of p.
func (b *bin) add(p *point, covered time.Duration, share float64) {
	b.covered += covered
	for i := range b.requests {
		b.requests[i] += share * float64(p.requests[i])
		b.bytes[i] += share * float64(p.bytes[i])
		b.firstByte[i] = b.firstByte[i].Plus(p.firstByte[i])
	}
	b.evicted += share * float64(p.evicted)
	b.age = b.age.Plus(p.age)
	b.waits += share * float64(p.lockWaits)
	b.waitTime = b.waitTime.Plus(p.lockTime)
	b.level = p.level
}

// rate returns n a second.
func (b *bin) rate(n float64) number {
	if b.covered < time.Millisecond {
		return unknown
	}
	return number(n / b.covered.Seconds())
}

// now returns a level at the end of b.
func (b *bin) now(n int64) number {
	if b.covered == 0 {
		return unknown
	}
	return number(n)
}

// hits returns how much of the amounts by result the cache gave, and of how much. Requests that are
// not for a cache count in neither.
func hits(amounts *[results]float64) (fromCache, all float64) {
	for _, r := range stats.Results() {
		if r == stats.Bypass || r == stats.Unanswered {
			continue
		}
		all += amounts[r]
		if r.FromCache() {
			fromCache += amounts[r]
		}
	}
	return fromCache, all
}

// seriesOf returns the plots of points, which cover w up to now. names are those of the stores.
func seriesOf(points []point, w window, now time.Time, names []string) *series {
	bins, first := binsOf(points, w, now)
	s := &series{
		Requests: make(map[string][]number), FirstByte: make(map[string]map[string][]number),
		Stores: []storeSeries{},
	}
	for i := range bins {
		b := &bins[i]
		s.Times = append(s.Times, first.Add(time.Duration(i+1)*w.step).UnixMilli())
		s.HitRatio = append(s.HitRatio, ratio(hits(&b.requests)))
		s.ByteRatio = append(s.ByteRatio, ratio(hits(&b.bytes)))
		s.Evicted = append(s.Evicted, b.rate(b.evicted))
		s.Age = append(s.Age, quantile(b.age, 0.5, 1))
		s.InFlight = append(s.InFlight, b.now(int64(b.level.inFlight)))
		s.Readers = append(s.Readers, b.now(int64(b.level.readers)))
		s.Waits = append(s.Waits, b.rate(b.waits))
		s.WaitTime = append(s.WaitTime, quantile(b.waitTime, 0.5, 1000))
	}
	s.addResults(bins)
	for i, name := range names[:min(len(names), maxStores)] {
		s.Stores = append(s.Stores, storeSeriesOf(name, i, bins))
	}
	return s
}

// addResults adds what there is by result. Results that did not occur are left out.
func (s *series) addResults(bins []bin) {
	for i, r := range stats.Results() {
		occurred := false
		rates := make([]number, len(bins))
		for at := range bins {
			rates[at] = bins[at].rate(bins[at].requests[i])
			occurred = occurred || bins[at].requests[i] > 0
		}
		if !occurred {
			continue
		}
		s.Requests[r.String()] = rates
		for _, q := range quantiles {
			times := make([]number, len(bins))
			for at := range bins {
				times[at] = quantile(bins[at].firstByte[i], q.q, 1000)
			}
			if s.FirstByte[q.name] == nil {
				s.FirstByte[q.name] = make(map[string][]number)
			}
			s.FirstByte[q.name][r.String()] = times
		}
	}
}

// quantile returns a quantile of h in the unit of which a second has so many; unknown if h is
// empty.
func quantile(h stats.Histogram, q, unit float64) number {
	if h.Count == 0 {
		return unknown
	}
	return number(h.Quantile(q) * unit)
}

func storeSeriesOf(name string, i int, bins []bin) storeSeries {
	s := storeSeries{Name: name}
	for at := range bins {
		b, l := &bins[at], bins[at].level.stores[i]
		s.Entries = append(s.Entries, b.now(l.entries))
		s.Index = append(s.Index, b.now(l.index))
		s.InFlight = append(s.InFlight, b.now(l.inFlight))
		s.Open = append(s.Open, b.now(l.open))
		if b.covered > 0 {
			s.Limit, s.Count = l.limit, l.count
		}
	}
	return s
}
