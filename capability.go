package cirque

import (
	"context"
	"errors"
	"io"
	"sync"
)

// streamingHandler returns handler as one whose body can be read while it is written, if storage
// streams.
func streamingHandler(storage Storage, handler MissHandler) (writer StreamingMissHandler, ok bool) {
	if _, ok := storage.(StreamingStorage); !ok {
		return nil, false
	}
	writer, ok = handler.(StreamingMissHandler)
	return writer, ok
}

// heldIn returns what of storage's entries is being read; zero where it cannot tell.
func heldIn(storage Storage) int64 {
	if s, ok := storage.(HoldingStorage); ok {
		return s.Held()
	}
	return 0
}

// Budgets returns what limits storage, and its spool if that has a Budget of its own.
func (o *CacheOptions) Budgets() []*Budget {
	var budgets []*Budget
	if s, ok := o.Storage.(BudgetedStorage); ok {
		budgets = s.Budgets()
	}
	if o.Spool != nil {
		budgets = append(budgets, o.Spool)
	}
	return budgets
}

// StorageLimit returns how many bytes storage can hold; zero or less where there is no limit, or it
// cannot tell.
func StorageLimit(storage Storage) int64 {
	if s, ok := storage.(LimitedStorage); ok {
		return s.Limit()
	}
	return 0
}

// copyBuffers are for bodies on their way to writers that are no io.ReaderFrom.
var copyBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// readFrom appends what r yields to writer, and lets it read by itself if it can.
func readFrom(writer MissHandler, r io.Reader) (int64, error) {
	if w, ok := writer.(io.ReaderFrom); ok {
		return w.ReadFrom(r)
	}
	buffer := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buffer)
	return io.CopyBuffer(writer, r, buffer[:])
}

// lookupStreaming finds a write under way, or the entry it became, by its tag, if storage can;
// errors.ErrUnsupported if it cannot.
func lookupStreaming(ctx context.Context, storage Storage, key CacheKey, tag Tag) (*CacheMeta, HitHandler, error) {
	if s, ok := storage.(StreamingStorage); ok {
		return s.LookupStreaming(ctx, key, tag)
	}
	return nil, nil, errors.ErrUnsupported
}
