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

// heldIn returns the weight of storage's entries that are being read; zero if it cannot tell.
func heldIn(storage Storage) int64 {
	if s, ok := storage.(HoldingStorage); ok {
		return s.Held()
	}
	return 0
}

// StorageBudgets returns the Budgets of storage. If storage has none, or cannot tell, the result is
// one nil *Budget, which has no limit.
func StorageBudgets(storage Storage) []*Budget {
	if s, ok := storage.(BudgetedStorage); ok {
		if budgets := s.Budgets(); len(budgets) > 0 {
			return budgets
		}
	}
	return []*Budget{nil}
}

// copyBuffers are for writers that are not io.ReaderFroms.
var copyBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// readFrom copies r to writer, which reads by itself if it is an io.ReaderFrom.
func readFrom(writer MissHandler, r io.Reader) (int64, error) {
	if w, ok := writer.(io.ReaderFrom); ok {
		return w.ReadFrom(r)
	}
	buffer := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buffer)
	return io.CopyBuffer(writer, r, buffer[:])
}

// lookupStreaming returns the write under way with this tag, or the entry it became. If storage
// does not stream, the error is errors.ErrUnsupported.
func lookupStreaming(ctx context.Context, storage Storage, key CacheKey, tag Tag) (*CacheMeta, HitHandler, error) {
	if s, ok := storage.(StreamingStorage); ok {
		return s.LookupStreaming(ctx, key, tag)
	}
	return nil, nil, errors.ErrUnsupported
}
