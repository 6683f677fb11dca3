package cirque

// SizeTracker counts a body against a maximum size. The zero value has no maximum.
type SizeTracker struct {
	// Max is the largest allowed size in bytes; zero or less means no maximum.
	Max  int64
	seen int64
}

// Add counts n more bytes and reports whether the body is still within the maximum.
func (t *SizeTracker) Add(n int64) bool {
	t.seen += n
	return !t.exceeds(t.seen)
}

// Seen returns the bytes counted so far.
func (t *SizeTracker) Seen() int64 { return t.seen }

func (t SizeTracker) exceeds(n int64) bool { return t.Max > 0 && n > t.Max }
