package eviction

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/table"
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

// testKeys are so few that no ghost ever has to forget one.
var testKeys = func() (keys [64]cirque.CompactCacheKey) {
	for i := range keys {
		keys[i] = cirque.NewCacheKey("", strconv.Itoa(i), "").Compact()
		if i%3 == 0 {
			keys[i].Variance = cirque.HashBinary{byte(i + 1)}
		}
	}
	return keys
}()

func numbersOf(keys []cirque.CompactCacheKey) (numbers []int) {
	for _, key := range keys {
		numbers = append(numbers, slices.Index(testKeys[:], key))
	}
	return numbers
}

// TestAgainstReference makes random calls to a manager and its reference. Their answers must be the
// same, including the order of victims.
func TestAgainstReference(t *testing.T) {
	for name, newReference := range references {
		for _, maxItems := range []int{0, 6} {
			t.Run(name+"/"+strconv.Itoa(maxItems), func(t *testing.T) {
				at := slices.IndexFunc(policies, func(p policy) bool { return p.name == name })
				for seed := range uint64(8) {
					manager, err := policies[at].new(Config{Limit: testLimit, MaxItems: maxItems})
					require.NoError(t, err)
					m := &model{reference: newReference(maxItems), limit: testLimit, maxItems: maxItems, weights: map[int]int64{}}
					compare(t, manager, m, rand.New(rand.NewPCG(seed, 0)))
				}
			})
		}
	}
}

func compare(t *testing.T, manager cirque.EvictionManager, m *model, rnd *rand.Rand) {
	for step := range 1500 {
		same := func(want, got []int) {
			if !slices.Equal(want, got) {
				t.Fatalf("step %d: evicted %v; the reference evicts %v", step, got, want)
			}
		}
		k := min(rnd.IntN(len(testKeys)), rnd.IntN(len(testKeys))) // some are more popular
		key := testKeys[k]
		// No two keys ever have the same weight, so no two priorities are equal by chance.
		weight := int64(1+rnd.IntN(60))*int64(len(testKeys)) + int64(k)
		if rnd.IntN(100) == 0 {
			weight += testLimit
		}
		_, tracked := m.weights[k]
		require.Equal(t, tracked, manager.Peek(key))
		switch op := rnd.IntN(20); {
		case op < 8:
			same(m.admitKey(k, weight), numbersOf(manager.Admit(key, weight, time.Time{}, 0)))
		case op < 14:
			if tracked || op == 8 {
				require.Equal(t, m.accessKey(k, weight), manager.Access(key, weight, time.Time{}), "step %d", step)
				continue // the limit may be exceeded now
			}
		case op < 16:
			var want []int
			delta, most := int64(rnd.IntN(40)-5)*int64(len(testKeys)), int64(rnd.IntN(2)*(rnd.IntN(80)*len(testKeys)+k))
			if tracked {
				old := m.weights[k]
				delta = max(delta, int64(len(testKeys)+k)-old)
				weight := old + delta
				if delta > 0 && most > 0 {
					weight = max(old, min(weight, most))
				}
				want = m.resize(k, weight)
			} else {
				want = m.enforce(nil)
			}
			same(want, numbersOf(manager.IncrementWeight(key, delta, most)))
		case op < 17:
			if tracked {
				m.drop(k)
			}
			manager.Remove(key)
			if m.total > m.limit {
				continue
			}
		case op < 19:
			weight := int64(rnd.IntN(4000) - 100)
			same(m.evictWeight(weight), numbersOf(manager.Evict(weight)))
		default:
			if rnd.IntN(50) == 0 {
				same(m.evictWeight(math.MaxInt64), numbersOf(manager.Evict(math.MaxInt64)))
			}
		}
		if m.total != manager.TotalWeight() || len(m.weights) != manager.TotalItems() || m.evictedItems != manager.EvictedItems() {
			t.Fatalf("step %d: weight %d, items %d, evicted %d; the reference has %d, %d, %d", step, manager.TotalWeight(),
				manager.TotalItems(), manager.EvictedItems(), m.total, len(m.weights), m.evictedItems)
		}
	}
}

// TestShardsAgainstReference makes random calls to an LRU. The shard of a victim is chosen at
// random, but the victim must be the oldest entry of that shard, and no more may leave than needed.
func TestShardsAgainstReference(t *testing.T) {
	const shards = 4
	l, err := NewLRU(LRUConfig{Config: Config{Limit: testLimit}, Shards: shards})
	require.NoError(t, err)
	require.Equal(t, shards, l.Shards())
	shardOf := func(k int) int {
		key := table.MakeKey(&testKeys[k])
		return int(key.Hash()) & (shards - 1)
	}
	var lines [shards]line
	for i := range lines {
		lines[i].promote = true
	}
	weights := map[int]int64{}
	var total int64
	rnd := rand.New(rand.NewPCG(1, 1))
	for step := range 6000 {
		k := min(rnd.IntN(len(testKeys)), rnd.IntN(len(testKeys)))
		weight := int64(1 + rnd.IntN(3000))
		order := &lines[shardOf(k)]
		_, tracked := weights[k]
		switch op := rnd.IntN(10); {
		case op < 5:
			if tracked {
				order.hit(k)
			}
			need := total - weights[k] + weight - testLimit
			for _, victim := range numbersOf(l.Admit(testKeys[k], weight, time.Time{}, 0)) {
				require.Positive(t, need, "step %d: evicted more than needed", step)
				require.Equal(t, lines[shardOf(victim)].victim(), victim, "step %d: not the oldest of its shard", step)
				lines[shardOf(victim)].evict(victim)
				need -= weights[victim]
				total -= weights[victim]
				delete(weights, victim)
				if victim == k {
					weight = 0
				}
			}
			if weight > 0 {
				if _, tracked := weights[k]; !tracked {
					order.admit(k, weight)
				}
				total += weight - weights[k]
				weights[k] = weight
			}
		case op < 9:
			if tracked {
				require.True(t, l.Access(testKeys[k], weight, time.Time{}))
				order.hit(k)
			}
		default:
			l.Remove(testKeys[k])
			if tracked {
				order.remove(k)
				total -= weights[k]
				delete(weights, k)
			}
		}
		require.Equal(t, total, l.TotalWeight(), "step %d", step)
		require.LessOrEqual(t, total, int64(testLimit))
		for i, order := range lines {
			key, weight, ok := l.PeekLRU(i)
			require.Equal(t, len(order.keys) > 0, ok)
			if ok {
				require.Equal(t, testKeys[order.victim()], key)
				require.Equal(t, weights[order.victim()], weight)
			}
		}
	}
	require.Positive(t, l.EvictedItems())
}

// TestOlderShardGivesFirst has four shards, one of them with old entries. Two draws find that shard
// in seven of sixteen cases, and then it must give the victim; one draw would find it in four of
// sixteen.
func TestOlderShardGivesFirst(t *testing.T) {
	l, err := NewLRU(LRUConfig{Config: Config{Limit: 1 << 30}, Shards: 4})
	require.NoError(t, err)
	admit := func(old bool, want int) {
		for n, admitted := 0, 0; admitted < want; n++ {
			key := cirque.NewCacheKey("", strconv.Itoa(n), "").Compact()
			k := table.MakeKey(&key)
			if (k.Hash()&3 == 0) == old {
				l.Admit(key, 1, time.Time{}, 0)
				admitted++
			}
		}
	}
	admit(true, 400)
	admit(false, 1200)
	l.Evict(240)
	require.InDelta(t, 240*7/16, 400-l.shards[0].table.Len(), 35)
}

// TestGDSFPurges removes most entries again and again. The heap notices that late, but neither the
// heap nor the slab may grow without end.
func TestGDSFPurges(t *testing.T) {
	g, err := NewGDSF(GDSFConfig{Config: Config{Limit: 1 << 30}})
	require.NoError(t, err)
	p := g.shards[0].order.(*priority)
	keyOf := func(n int) cirque.CompactCacheKey {
		return table.Key{uint64(n), 1, 0, 0}.Compact("")
	}
	for round := range 20 {
		for i := range 2000 {
			g.Admit(keyOf(i), int64(1000+i), time.Time{}, 0)
		}
		for i := range 2000 {
			if i%10 != round%10 {
				g.Remove(keyOf(i))
			}
		}
		require.Equal(t, 200, g.TotalItems())
		require.Less(t, len(p.heap), 300)
		require.Equal(t, len(p.heap), p.dead+200)
		require.Less(t, p.table.Cap(), uint32(3000))
	}
	require.Len(t, g.Evict(math.MaxInt64), 200)
}

func TestTagsGoWithTheirEntries(t *testing.T) {
	f, err := NewFIFO(Config{Limit: 1000})
	require.NoError(t, err)
	for i, key := range testKeys {
		key.UserTag = strconv.Itoa(i)
		f.Admit(key, 100, time.Time{}, 0)
		key.UserTag += "'"
		f.Admit(key, 100, time.Time{}, 0)
		require.Len(t, f.tags.mu.numbers, f.TotalItems())
	}
	f.Remove(testKeys[63])
	f.Evict(800)
	require.Len(t, f.tags.mu.numbers, 1)
}
