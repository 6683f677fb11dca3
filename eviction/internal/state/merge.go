package state

import (
	"container/heap"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Merged reads the parts of a saved state as one sequence, in order of rank.
type Merged struct {
	parts byRank
	errs  []error
}

// part is an open part and its next record.
type part struct {
	*Reader
	name string
	next Record
}

// OpenAll opens the parts in dir. Parts that are damaged or missing are left out, and [Merged.Err]
// reports them. If dir has no parts, the error is fs.ErrNotExist. If there is no error, Close must
// be called.
func OpenAll(dir string) (*Merged, error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, err
	}
	m := new(Merged)
	var found []int
	parts := 0
	for _, e := range entries {
		n, ok := number(e.Name())
		if !ok {
			continue
		}
		found = append(found, n)
		name := filepath.Join(dir, e.Name())
		r, err := Open(name)
		if err != nil {
			m.errs = append(m.errs, err)
			continue
		}
		parts = max(parts, r.Parts)
		m.advance(&part{Reader: r, name: name})
	}
	if len(found) == 0 {
		return nil, &fs.PathError{Op: "load", Path: dir, Err: fs.ErrNotExist}
	}
	for i := range parts {
		if _, ok := slices.BinarySearch(found, i); !ok {
			m.errs = append(m.errs, fmt.Errorf("%s: %w: part %s is missing", dir, ErrDamaged, Name(i)))
		}
	}
	return m, nil
}

// advance reads p's next record and puts p back among the parts. If there is none, it closes p.
func (m *Merged) advance(p *part) {
	var err error
	if p.next, err = p.Next(); err == nil {
		heap.Push(&m.parts, p)
		return
	}
	if !errors.Is(err, io.EOF) {
		m.errs = append(m.errs, fmt.Errorf("%s: %w", p.name, err))
	}
	p.Close()
}

// Next returns the remaining record with the lowest rank and the policy that wrote it. After the
// last it returns io.EOF.
func (m *Merged) Next() (rec Record, policy string, err error) {
	if len(m.parts) == 0 {
		return rec, "", io.EOF
	}
	p := heap.Pop(&m.parts).(*part)
	rec, policy = p.next, p.Policy
	m.advance(p)
	return rec, policy, nil
}

// Err returns one error, joined with the others, for each part of which something was left out.
func (m *Merged) Err() error { return errors.Join(m.errs...) }

// Close closes the parts.
func (m *Merged) Close() {
	for _, p := range m.parts {
		p.Reader.Close()
	}
	m.parts = nil
}

// byRank is a heap of parts, ordered by the rank of their next record.
type byRank []*part

func (h byRank) Len() int           { return len(h) }
func (h byRank) Less(i, j int) bool { return h[i].next.Rank < h[j].next.Rank }
func (h byRank) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byRank) Push(x any)        { *h = append(*h, x.(*part)) }
func (h *byRank) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	*h = (*h)[:last]
	return p
}
