package cirque

// sizeTracker counts a body against a maximum size. The zero value has no maximum.
type sizeTracker struct {
	max  int64 // bytes; zero or less: no maximum
	seen int64 // bytes counted so far
}

// add counts n more bytes and reports whether the body is still within the maximum.
func (t *sizeTracker) add(n int64) bool {
	t.seen += n
	return !t.exceeds(t.seen)
}

func (t sizeTracker) exceeds(n int64) bool { return t.max > 0 && n > t.max }
