package offheap

import (
	"math/bits"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// allocation is one that a test has made, with the byte that fills it.
type allocation struct {
	b    []byte
	fill byte
}

func (a allocation) check(t *testing.T) {
	t.Helper()
	for i, got := range a.b {
		if got != a.fill {
			t.Fatalf("byte %d of an allocation of %d is %d, want %d", i, len(a.b), got, a.fill)
		}
	}
}

// resident returns the resident bytes of this process.
func resident(t *testing.T) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	require.NoError(t, err)
	return kib << 10
}

func TestAllocationsDoNotOverlap(t *testing.T) {
	steps := 20_000
	if !hasMappings {
		steps = 500
	}
	for _, heap := range []bool{false, true} {
		m := New(heap)
		random := rand.New(rand.NewPCG(1, 2))
		var live []allocation
		sum := 0
		for step := range steps {
			if grow := step%4000 < 2500; len(live) == 0 || random.IntN(10) < 3 || grow && random.IntN(10) < 6 {
				n := 1 + random.IntN(8<<10)
				if random.IntN(20) == 0 {
					n = 1 + random.IntN(1<<20)
				}
				b := m.Alloc(n)
				require.Zero(t, len(b))
				require.Equal(t, n, cap(b))
				a := allocation{b[:n], byte(step)}
				for i := range a.b {
					a.b[i] = a.fill
				}
				live = append(live, a)
				if n > maxSmall {
					sum += m.Size(n)
				}
			} else {
				i := random.IntN(len(live))
				a := live[i]
				a.check(t)
				if len(a.b) > maxSmall {
					sum -= m.Size(len(a.b))
				}
				m.Free(a.b[:random.IntN(len(a.b)+1)])
				live[i] = live[len(live)-1]
				live = live[:len(live)-1]
			}
			if step%1000 == 0 {
				requireConsistent(t, m)
				for _, a := range live {
					a.check(t)
				}
				if !m.OnHeap() && !checking {
					stats := m.Stats()
					require.LessOrEqual(t, int64(sum), stats.Used)
					require.LessOrEqual(t, stats.Used, int64(sum)+classes*slabSlots*maxSlot)
					require.LessOrEqual(t, stats.Free, max(stats.Used/64, minSlack*pageSize))
				}
			}
		}
		for _, a := range live {
			a.check(t)
			m.Free(a.b)
		}
		requireConsistent(t, m)
		require.Zero(t, m.Stats().Used)
		require.LessOrEqual(t, m.Stats().Free, int64(minSlack*pageSize))
	}
}

// requireConsistent checks that the runs of m fill its regions, and that the lists hold the free
// runs.
func requireConsistent(t *testing.T, m *Memory) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	r := &m.regions
	used, dirty, clean := 0, 0, 0
	for number := range r.all {
		for i := 0; i < len(r.all[number].pages); {
			p := r.all[number].pages[i]
			require.NotZero(t, p.n)
			require.NotEqual(t, inRun, p.kind)
			last := r.all[number].pages[i+int(p.n)-1]
			switch p.kind {
			case dirtyRun:
				dirty += int(p.n)
			case cleanRun:
				clean += int(p.n)
			case usedRun, slabRun:
				used += int(p.n)
			}
			if p.kind == dirtyRun || p.kind == cleanRun {
				require.Equal(t, p.n, last.n)
				require.Equal(t, p.kind, last.kind)
			}
			i += int(p.n)
		}
	}
	free, hollow := 0, 0
	for number := range r.all {
		for _, p := range r.all[number].pages {
			if p.kind != slabRun {
				continue
			}
			require.Zero(t, p.taken&p.hollow)
			free += bits.OnesCount8(^p.taken&^p.hollow) * slotSize(int(p.class))
			for from, to := range freePages(p.hollow, slotSize(int(p.class))) {
				hollow += to - from
			}
		}
	}
	require.Equal(t, m.freeSlots, free)
	require.Equal(t, m.hollowPages, hollow)
	require.Equal(t, m.used, used)
	require.Equal(t, r.dirty.pages, dirty)
	require.Equal(t, r.clean.pages, clean)
	for _, f := range []*freeRuns{&r.dirty, &r.clean} {
		listed := 0
		for list, at := range f.first {
			require.Equal(t, at != noPage, f.some[list/64]&(1<<(list%64)) != 0)
			for ; at != noPage; at = r.page(at).next {
				require.Equal(t, list, bin(r.page(at).n))
				listed += int(r.page(at).n)
			}
		}
		require.Equal(t, f.pages, listed)
	}
}

func TestSizeIsWhatAnAllocationTakes(t *testing.T) {
	m := New(false)
	if m.OnHeap() {
		require.Equal(t, 5000, m.Size(5000))
		return
	}
	for n := 1; n <= 200_000; n += 1 + n/100 {
		size := m.Size(n)
		require.GreaterOrEqual(t, size, n)
		require.Equal(t, size, m.Size(size))
		switch {
		case n <= maxSmall:
			require.Equal(t, n, size)
		default:
			require.LessOrEqual(t, size-n, n/8+1, "an allocation of %d takes %d", n, size)
		}
	}
	for class := range classes {
		require.Equal(t, class, classOf(slotSize(class)))
		if class > 0 {
			require.Equal(t, class, classOf(slotSize(class-1)+1))
		}
		require.Zero(t, slabSlots*slotSize(class)%pageSize, "slots fill the slab")
	}
	require.Equal(t, maxSlot, slotSize(classes-1))
}

func TestFreedMemoryGoesBackToTheSystem(t *testing.T) {
	m := New(false)
	if m.OnHeap() || checking {
		t.Skip("the memory is heap, or kept")
	}
	const size = 100 << 10
	debug.FreeOSMemory()
	before := resident(t)
	var all [][]byte
	for range (128 << 20) / size {
		b := m.Alloc(size)
		b = b[:size]
		for i := 0; i < len(b); i += pageSize {
			b[i] = 1
		}
		all = append(all, b)
	}
	require.Greater(t, m.Stats().Used, int64(100<<20))
	for _, b := range all {
		m.Free(b)
	}
	require.Less(t, resident(t), before+20<<20)
	require.Zero(t, m.Stats().Used)
}

func TestFreePagesLieWithinTheSlots(t *testing.T) {
	for class := range classes {
		size := slotSize(class)
		for slots := range 256 {
			within := func(page int) bool {
				for at := page * pageSize; at < (page+1)*pageSize; at++ {
					if slots&(1<<(at/size)) == 0 {
						return false
					}
				}
				return true
			}
			if class > 2 && class%5 != 0 {
				continue
			}
			var got []int
			for from, to := range freePages(uint8(slots), size) {
				for page := from; page < to; page++ {
					got = append(got, page)
				}
			}
			var want []int
			for page := range slabSlots * size / pageSize {
				if within(page) {
					want = append(want, page)
				}
			}
			require.Equal(t, want, got, "slots %08b of %d", slots, size)
		}
	}
}

// One slot in use of each slab does not keep the others resident.
func TestSparseSlabsGoBackToTheSystem(t *testing.T) {
	m := New(false)
	if m.OnHeap() || checking {
		t.Skip("the memory is heap, or kept")
	}
	const size = 20 << 10
	debug.FreeOSMemory()
	before := resident(t)
	var all [][]byte
	for i := range (128 << 20) / size {
		b := m.Alloc(size)[:size]
		for j := range b {
			b[j] = byte(i)
		}
		all = append(all, b)
	}
	for i, b := range all {
		if i%slabSlots != 3 {
			m.Free(b)
		}
	}
	requireConsistent(t, m)
	require.Less(t, resident(t), before+32<<20)
	require.Less(t, m.Stats().Used, int64(32<<20))
	for i := 3; i < len(all); i += slabSlots {
		allocation{all[i], byte(i)}.check(t)
	}
	for range all {
		m.Alloc(size)
	}
	requireConsistent(t, m)
}

func TestWholePagesLieWithinTheMemory(t *testing.T) {
	mem := make([]byte, 300<<10)
	for _, size := range []uintptr{4 << 10, 16 << 10, 64 << 10} {
		for from := 0; from < 100<<10; from += 4<<10 - 512 {
			for _, n := range []int{1, 4 << 10, 10_000, 130_000} {
				b := mem[from : from+n]
				got := wholePages(b, size)
				if len(got) == 0 {
					require.Less(t, n, int(2*size), "there is a whole page in any so many bytes")
					continue
				}
				require.Zero(t, address(got)%size)
				require.Zero(t, uintptr(len(got))%size)
				require.GreaterOrEqual(t, address(got), address(b))
				require.LessOrEqual(t, address(got)+uintptr(len(got)), address(b)+uintptr(n))
				require.Greater(t, uintptr(len(got)), uintptr(n)-min(2*size, uintptr(n)))
			}
		}
	}
}

func TestMappingsGoWithTheirMemory(t *testing.T) {
	var gone *mappings
	func() {
		m := New(false)
		if m.OnHeap() {
			t.Skip("there are no mappings")
		}
		m.Alloc(5000)
		gone = m.regions.mappings
	}()
	for range 100 {
		runtime.GC()
		gone.mu.Lock()
		left := len(gone.all)
		gone.mu.Unlock()
		if left == 0 {
			return
		}
		runtime.Gosched()
	}
	t.Fatal("the mappings are still there")
}

func TestFreePanicsForWhatIsNotAllocated(t *testing.T) {
	m := New(false)
	if m.OnHeap() && !checksFree {
		t.Skip("the memory is heap")
	}
	m.Alloc(5000) // keeps the slab
	for _, n := range []int{5000, 100_000} {
		b := m.Alloc(n)
		m.Free(b)
		require.Panics(t, func() { m.Free(b) }, "%d bytes freed twice", n)
	}
	if !checksFree {
		b := m.Alloc(100_000)[:100_000]
		require.Panics(t, func() { m.Free(b[pageSize:]) }, "not the start of the allocation")
		b = m.Alloc(5000)[:5000]
		require.Panics(t, func() { m.Free(b[512:]) }, "not the start of the allocation")
	}
}

func TestAllocationLargerThanARegionIsHeap(t *testing.T) {
	m := New(false)
	b := m.Alloc(maxAlloc + 1)
	require.Equal(t, maxAlloc+1, cap(b))
	require.Zero(t, m.Stats())
	m.Free(b)
	m.Free(nil)
}

func TestConcurrentUse(t *testing.T) {
	m := New(false)
	var wg sync.WaitGroup
	for id := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(id)))
			var live []allocation
			for range 300 {
				n := 1 + random.IntN(40<<10)
				a := allocation{m.Alloc(n)[:n], byte(id)}
				for i := range a.b {
					a.b[i] = a.fill
				}
				if live = append(live, a); len(live) > 50 {
					i := random.IntN(len(live))
					for _, got := range live[i].b {
						if got != byte(id) {
							t.Error("memory is shared")
							return
						}
					}
					m.Free(live[i].b)
					live[i] = live[len(live)-1]
					live = live[:len(live)-1]
				}
			}
		})
	}
	wg.Wait()
	requireConsistent(t, m)
}

func BenchmarkAlloc(b *testing.B) {
	m := New(false)
	for _, n := range []int{5000, 64 << 10, 1 << 20} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				m.Free(m.Alloc(n))
			}
		})
	}
}
