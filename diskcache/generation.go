package diskcache

import "github.com/cirquecache/cirque"

// generation is the file of an entry while somebody has it open. It lasts until the last reader has
// closed the file, even if the entry has left its place by then. The stripe guards it, except the
// inside of check.
type generation struct {
	refs  int   // the readers
	owed  int64 // to be released with the last reference; zero while the entry is in place
	held  int64 // what Store.held counts for it
	stamp uint64
	check *verifier // of the body in the state of stamp; nil until a hit needs it
}

// acquire adds a reference to the generation of the entry in place, and returns it. weight is the
// entry's. Called with mu held.
func (st *stripe) acquire(hash cirque.HashBinary, weight int64) *generation {
	g := st.open[hash]
	if g == nil {
		g = new(generation)
		if st.open == nil {
			st.open = make(map[cirque.HashBinary]*generation)
		}
		st.open[hash] = g
		g.held = weight
		st.held.Add(weight)
	}
	g.refs++
	return g
}

// vacate takes note that the entry of hash, which has that weight, has left its place. It returns
// the bytes to release at once: none while the file is open. Called with mu held.
func (st *stripe) vacate(hash cirque.HashBinary, weight int64) int64 {
	g := st.open[hash]
	if g == nil {
		return weight
	}
	delete(st.open, hash)
	st.held.Add(-g.held)
	g.owed += weight
	st.owed.Add(weight)
	return 0
}

// drop gives up a reference to g and returns the bytes to release.
func (st *stripe) drop(hash cirque.HashBinary, g *generation) int64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	if g.refs--; g.refs > 0 {
		return 0
	}
	if st.open[hash] == g {
		delete(st.open, hash)
		st.held.Add(-g.held)
	}
	st.owed.Add(-g.owed)
	return g.owed
}
