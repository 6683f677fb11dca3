package memcache

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

func TestHitIsOneAllocation(t *testing.T) {
	c := New(Config{Budget: cirque.NewBudget(1 << 20)})
	key := keyOf(1)
	put(t, c, key, newMeta(), make([]byte, 1024))
	require.Equal(t, 1.0, testing.AllocsPerRun(100, func() {
		_, h, err := c.Lookup(context.Background(), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.(io.WriterTo).WriteTo(io.Discard); err != nil {
			t.Fatal(err)
		}
		h.Close()
	}))
}
