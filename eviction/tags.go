package eviction

import (
	"strings"
	"sync"
)

// tags numbers the user tags of tracked entries, so that nodes hold no pointers. Nearly all entries
// have the empty tag, which has number zero and costs nothing. A tag is kept as long as an entry
// has it.
type tags struct {
	mu struct {
		sync.Mutex
		numbers map[string]uint32
		tags    []tag // the tag with number n is at n-1
		free    []uint32
	}
}

type tag struct {
	text string
	refs int
}

// acquire returns the number of text, which is held until a release.
func (t *tags) acquire(text string) uint32 {
	if text == "" {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n, ok := t.mu.numbers[text]
	if !ok {
		if last := len(t.mu.free) - 1; last >= 0 {
			n, t.mu.free = t.mu.free[last], t.mu.free[:last]
		} else {
			t.mu.tags = append(t.mu.tags, tag{})
			n = uint32(len(t.mu.tags))
		}
		text = strings.Clone(text) // it may be a small part of a large string
		t.mu.tags[n-1].text = text
		if t.mu.numbers == nil {
			t.mu.numbers = make(map[string]uint32)
		}
		t.mu.numbers[text] = n
	}
	t.mu.tags[n-1].refs++
	return n
}

// text returns the tag with number n, which must be held.
func (t *tags) text(n uint32) string {
	if n == 0 {
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mu.tags[n-1].text
}

func (t *tags) release(n uint32) {
	if n == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	tag := &t.mu.tags[n-1]
	if tag.refs--; tag.refs == 0 {
		delete(t.mu.numbers, tag.text)
		tag.text = ""
		t.mu.free = append(t.mu.free, n)
	}
}
