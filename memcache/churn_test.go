package memcache

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
)

// signed returns a body of n bytes, at least 8, every word of which tells the key that it is for.
func signed(key, n int) []byte {
	word := binary.LittleEndian.AppendUint64(nil, uint64(key)*0x9e3779b97f4a7c15)
	return bytes.Repeat(word, (n+7)/8)
}

// Readers, writers that finish, abort or are unlinked, evictions, purges and changes of the limit
// run at the same time. Memory goes from one entry to the next all the while, and no reader ever
// gets a word of another entry.
func TestReadersGetTheirOwnEntryWhileMemoryIsUsedAgain(t *testing.T) {
	const limit, keys = 6 << 20, 150
	rounds := 400
	if checksUse {
		rounds = 60
	}
	budget := cirque.NewBudget(limit)
	c := New(Config{Budget: budget, StallTimeout: time.Minute})
	manager, err := eviction.New("lru", limit)
	require.NoError(t, err)
	budget.EvictWith(manager, c)
	ctx := context.Background()

	read := func(key int, h cirque.HitHandler, random *rand.Rand) {
		defer h.Close()
		var got bytes.Buffer
		var err error
		switch random.IntN(4) {
		case 0:
			_, err = h.(io.WriterTo).WriteTo(&got)
		case 1:
			_, err = io.CopyBuffer(&got, struct{ io.Reader }{h}, make([]byte, 1000))
		case 2: // closed by another goroutine
			closed := make(chan error)
			go func() { closed <- h.Close() }()
			_, err = h.(io.WriterTo).WriteTo(&got)
			<-closed
		default:
			_, err = io.CopyN(&got, struct{ io.Reader }{h}, 100) // leaves early
		}
		if !bytes.HasPrefix(signed(key, got.Len()+8), got.Bytes()) {
			t.Errorf("a reader of key %d got bytes of another entry, error %v", key, err)
		}
	}
	write := func(key int, random *rand.Rand) {
		size := 8 + random.IntN(20_000)
		if random.IntN(10) == 0 {
			size = 8 + random.IntN(800_000)
		}
		body := signed(key, size)
		hint := int64(len(body))
		if random.IntN(2) == 0 {
			hint = -1
		}
		w, err := c.MissHandler(ctx, keyOf(key), newMeta(), cirque.MissOptions{SizeHint: hint})
		if err != nil {
			return
		}
		var readers sync.WaitGroup
		defer readers.Wait()
		if h, err := w.(cirque.StreamingMissHandler).NewReader(ctx); err == nil {
			seed := random.Uint64()
			readers.Go(func() { read(key, h, rand.New(rand.NewPCG(seed, 1))) })
		}
		defer w.Abort()
		for len(body) > 0 {
			n := min(len(body), 1+random.IntN(100_000))
			if _, err := w.Write(body[:n]); err != nil {
				return
			}
			body = body[n:]
			if random.IntN(30) == 0 {
				return // aborts
			}
		}
		finish, err := w.Finish()
		if err != nil {
			return
		}
		for _, victim := range manager.Admit(keyOf(key).Compact(), finish.Size, time.Time{}, 0) {
			_ = c.Purge(ctx, victim, cirque.PurgeEviction)
		}
	}

	var wg sync.WaitGroup
	for id := range 6 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(id), 2))
			for range rounds {
				key := random.IntN(keys)
				switch random.IntN(8) {
				case 0, 1, 2:
					write(key, random)
				case 3:
					manager.Remove(keyOf(key).Compact())
					if err := c.Purge(ctx, keyOf(key).Compact(), cirque.PurgeInvalidation); err != nil && !errors.Is(err, cirque.ErrNotFound) {
						t.Error(err)
					}
				default:
					meta, h, err := c.Lookup(ctx, keyOf(key))
					if err == nil {
						_ = c.UpdateMeta(ctx, keyOf(key), meta, h.Tag())
						read(key, h, random)
						if meta.Header().Get("Etag") != tenFields().Get("Etag") {
							t.Error("a header has changed after its hit was closed")
						}
					}
				}
				if random.IntN(50) == 0 {
					budget.SetLimit(limit / int64(1+random.IntN(3)))
				}
			}
		})
	}
	wg.Wait()
	for key := range keys {
		_ = c.Purge(ctx, keyOf(key).Compact(), cirque.PurgeInvalidation)
	}
	require.Zero(t, budget.Used())
	require.Zero(t, c.Held())
}
