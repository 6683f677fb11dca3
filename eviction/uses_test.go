package eviction_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/inspect"
)

func TestUsesCountsHitsAndIsNone(t *testing.T) {
	for _, name := range eviction.Names() {
		t.Run(name, func(t *testing.T) {
			m, err := eviction.New(name, 1<<20)
			require.NoError(t, err)
			counter, ok := m.(inspect.UseCounter)
			require.True(t, ok)
			key := cirque.NewCacheKey("", "a", "").Compact()
			_, _, ok = counter.Uses(key)
			require.False(t, ok, "the key is unknown")
			m.Admit(key, 1000, time.Now().Add(time.Hour), 0)
			for want := range 3 {
				for range 10 {
					n, atLeast, ok := counter.Uses(key)
					if !ok {
						require.NotContains(t, []string{"gdsf", "s3fifo"}, name)
						return
					}
					require.Equal(t, want, n)
					require.False(t, atLeast)
				}
				m.Access(key, 1000, time.Now().Add(time.Hour))
			}
			for range 1000 {
				m.Access(key, 1000, time.Now().Add(time.Hour))
			}
			_, atLeast, _ := counter.Uses(key)
			require.True(t, atLeast)
		})
	}
}
