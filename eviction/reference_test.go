package eviction

import (
	"math"
	"slices"
)

// reference is a policy in its simplest form: slices that are searched from end to end.
type reference interface {
	// admit tracks a new key, for which there is room.
	admit(key int, weight int64)
	hit(key int)
	reweigh(key int, weight int64)
	remove(key int)
	// victim returns the key that leaves next. There must be one.
	victim() int
	// evict removes the key that victim returned.
	evict(key int)
	// contend returns the rank of a newcomer, and rank that of the key that victim returned. A
	// newcomer of a lower rank is declined.
	contend(key int, weight int64) float64
	rank(victim int) float64
	// decline is told that a newcomer of that rank was declined.
	decline(key int, rank float64)
}

// model drives a reference by the contract of cirque.EvictionManager.
type model struct {
	reference
	limit, total int64
	maxItems     int
	weights      map[int]int64
	evictedItems int64
}

func (m *model) full(weight int64, items int) bool {
	return m.total+weight > m.limit || m.maxItems > 0 && len(m.weights)+items > m.maxItems
}

func (m *model) evictNext() int {
	key := m.victim()
	m.evict(key)
	m.total -= m.weights[key]
	delete(m.weights, key)
	m.evictedItems++
	return key
}

func (m *model) drop(key int) {
	m.remove(key)
	m.total -= m.weights[key]
	delete(m.weights, key)
}

func (m *model) admitKey(key int, weight int64) (evicted []int) {
	if _, tracked := m.weights[key]; tracked {
		m.hit(key)
		return m.resize(key, weight)
	}
	if weight > m.limit {
		m.evictedItems++
		return m.enforce([]int{key})
	}
	for rank := m.contend(key, weight); m.full(weight, 1); {
		if m.rank(m.victim()) > rank {
			m.decline(key, rank)
			m.evictedItems++
			return m.enforce(append(evicted, key))
		}
		evicted = append(evicted, m.evictNext())
	}
	m.weights[key] = weight
	m.total += weight
	m.admit(key, weight)
	return evicted
}

// resize changes the weight of a tracked key.
func (m *model) resize(key int, weight int64) (evicted []int) {
	more := weight - m.weights[key]
	for weight > m.limit || more > 0 && m.total+more > m.limit {
		if weight > m.limit || m.victim() == key {
			m.remove(key)
			m.total -= m.weights[key]
			delete(m.weights, key)
			m.evictedItems++
			return m.enforce(append(evicted, key))
		}
		evicted = append(evicted, m.evictNext())
	}
	if more != 0 {
		m.total += more
		m.weights[key] = weight
		m.reweigh(key, weight)
	}
	return m.enforce(evicted)
}

func (m *model) accessKey(key int, weight int64) (known bool) {
	if _, known = m.weights[key]; known {
		m.hit(key)
		return true
	}
	m.weights[key] = weight
	m.total += weight
	m.admit(key, weight)
	return false
}

func (m *model) evictWeight(weight int64) (evicted []int) {
	for given := int64(0); given < weight && len(m.weights) > 0; {
		before := m.total
		evicted = append(evicted, m.evictNext())
		given += before - m.total
	}
	return m.enforce(evicted)
}

// enforce evicts until the limits hold again: an access to an unknown key may have exceeded them.
func (m *model) enforce(evicted []int) []int {
	for m.full(0, 0) {
		evicted = append(evicted, m.evictNext())
	}
	return evicted
}

// line is the reference of SimpleLRU and FIFO: keys in a row, the next victim first.
type line struct {
	admitsAll
	keys    []int
	promote bool // a hit moves the key to the end
}

func (l *line) admit(key int, _ int64) { l.keys = append(l.keys, key) }
func (l *line) hit(key int) {
	if l.promote {
		l.remove(key)
		l.keys = append(l.keys, key)
	}
}
func (l *line) reweigh(int, int64) {}
func (l *line) remove(key int) {
	l.keys = slices.DeleteFunc(l.keys, func(k int) bool { return k == key })
}
func (l *line) victim() int   { return l.keys[0] }
func (l *line) evict(key int) { l.remove(key) }

// admitsAll is the admission part of a reference that declines nothing.
type admitsAll struct{}

func (admitsAll) contend(int, int64) float64 { return 1 }
func (admitsAll) rank(int) float64           { return 0 }
func (admitsAll) decline(int, float64)       {}

// sieveReference is the reference of SIEVE: keys in a row, oldest first, and a hand between two of
// them.
type sieveReference struct {
	line
	visited map[int]bool
	hand    int // index of the key to look at next
}

func (s *sieveReference) hit(key int) { s.visited[key] = true }
func (s *sieveReference) victim() int {
	for {
		if s.hand >= len(s.keys) {
			s.hand = 0
		}
		key := s.keys[s.hand]
		if !s.visited[key] {
			return key
		}
		s.visited[key] = false
		s.hand++
	}
}
func (s *sieveReference) evict(key int) { s.remove(key) }
func (s *sieveReference) remove(key int) {
	at := slices.Index(s.keys, key)
	s.keys = slices.Delete(s.keys, at, at+1)
	delete(s.visited, key)
	if at < s.hand {
		s.hand--
	}
	if s.hand >= len(s.keys) {
		s.hand = 0
	}
}

// s3Reference is the reference of S3FIFO: two rows, oldest first, and the keys that the small one
// evicted.
type s3Reference struct {
	admitsAll
	small, main []int
	hits        map[int]int
	weights     map[int]int64
	ghost       map[int]bool
	smallMax    int64
	itemsMax    int
}

func (s *s3Reference) admit(key int, weight int64) {
	s.weights[key], s.hits[key] = weight, 0
	if s.ghost[key] {
		delete(s.ghost, key)
		s.main = append(s.main, key)
	} else {
		s.small = append(s.small, key)
	}
}
func (s *s3Reference) hit(key int)                   { s.hits[key] = min(s.hits[key]+1, 3) }
func (s *s3Reference) reweigh(key int, weight int64) { s.weights[key] = weight }
func (s *s3Reference) remove(key int) {
	is := func(k int) bool { return k == key }
	s.small, s.main = slices.DeleteFunc(s.small, is), slices.DeleteFunc(s.main, is)
}
func (s *s3Reference) victim() int {
	for {
		var weight int64
		for _, key := range s.small {
			weight += s.weights[key]
		}
		full := weight >= s.smallMax || s.itemsMax > 0 && len(s.small) >= s.itemsMax
		if len(s.small) > 0 && (full || len(s.main) == 0) {
			key := s.small[0]
			if s.hits[key] < 2 {
				return key
			}
			s.small = s.small[1:]
			s.main = append(s.main, key)
			s.hits[key] = 0
			continue
		}
		key := s.main[0]
		if s.hits[key] == 0 {
			return key
		}
		s.hits[key]--
		s.main = append(s.main[1:], key)
	}
}
func (s *s3Reference) evict(key int) {
	if slices.Contains(s.small, key) {
		s.ghost[key] = true
	}
	s.remove(key)
}

// gdsfReference is the reference of GDSF, without freshness and costs.
type gdsfReference struct {
	entries map[int]*gdsfEntry
	ghost   map[int]int
	clock   float64
}

type gdsfEntry struct {
	uses            int
	weight          int64
	clock           float64
	noted, priority float64 // noted is what the order knows until it looks at the entry
}

// valueOf returns uses / size^alpha, rounded as in the manager: a thousand runs do meet priorities
// that differ only by the rounding.
func valueOf(uses int, weight int64) float64 {
	worth := float32(one * math.Pow(refSize/float64(weight), defaultAlpha))
	return math.Floor(float64(uses) * float64(worth))
}

func (g *gdsfReference) admit(key int, weight int64) {
	e := &gdsfEntry{uses: min(g.ghost[key]+1, maxUses), weight: weight, clock: g.clock}
	e.noted = e.clock + valueOf(e.uses, weight)
	delete(g.ghost, key)
	g.entries[key] = e
}
func (g *gdsfReference) hit(key int) {
	e := g.entries[key]
	e.uses, e.clock = min(e.uses+1, maxUses), g.clock
}
func (g *gdsfReference) reweigh(key int, weight int64) { g.entries[key].weight = weight }
func (g *gdsfReference) remove(key int)                { delete(g.entries, key) }
func (g *gdsfReference) victim() int {
	for {
		least := -1
		for key, e := range g.entries {
			if least < 0 || e.noted < g.entries[least].noted {
				least = key
			}
		}
		e := g.entries[least]
		e.priority = e.clock + valueOf(e.uses, e.weight)
		if e.priority <= e.noted {
			return least
		}
		e.noted = e.priority
	}
}
func (g *gdsfReference) evict(key int) {
	e := g.entries[key]
	g.clock = max(g.clock, e.clock+valueOf(e.uses, e.weight))
	g.ghost[key] = e.uses
	g.remove(key)
}
func (g *gdsfReference) contend(key int, weight int64) float64 {
	return g.clock + valueOf(min(g.ghost[key]+1, maxUses), weight)
}
func (g *gdsfReference) rank(victim int) float64 { return g.entries[victim].priority }
func (g *gdsfReference) decline(key int, rank float64) {
	g.clock = max(g.clock, rank)
	g.ghost[key] = min(g.ghost[key]+1, maxUses)
}

const testLimit = 20_000

var references = map[string]func(maxItems int) reference{
	"simple-lru": func(int) reference { return &line{promote: true} },
	"fifo":       func(int) reference { return &line{} },
	"sieve":      func(int) reference { return &sieveReference{visited: map[int]bool{}} },
	"s3-fifo": func(maxItems int) reference {
		return &s3Reference{hits: map[int]int{}, weights: map[int]int64{}, ghost: map[int]bool{}, smallMax: testLimit / 10, itemsMax: maxItems / 10}
	},
	"gdsf": func(int) reference {
		return &gdsfReference{entries: map[int]*gdsfEntry{}, ghost: map[int]int{}}
	},
}
