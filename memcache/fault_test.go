//go:build cirque_check && !race

package memcache

import (
	"bytes"
	"io"
	"net"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// faults reports whether reading b faults.
func faults(b []byte) (fault bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { fault = recover() != nil }()
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	return sum < 0
}

// kept returns the slices that a writer keeps of a hit, against the rules of io.Writer.
func kept(t *testing.T, h cirque.HitHandler) (all [][]byte) {
	t.Helper()
	_, err := h.(io.WriterTo).WriteTo(writerFunc(func(p []byte) (int, error) {
		all = append(all, p)
		return len(p), nil
	}))
	require.NoError(t, err)
	return all
}

func TestWriterThatKeepsTheSliceIsFound(t *testing.T) {
	for name, open := range hitsOn {
		t.Run(name, func(t *testing.T) {
			c := New(Config{})
			body := patternOf(100_000, 1)
			h := open(t, c, keyOf(1), body)
			all := kept(t, h)
			require.Equal(t, body, bytes.Join(all, nil))
			require.NoError(t, h.Close())
			require.False(t, faults(all[0]), "the entry still has the body")
			require.NoError(t, c.Purge(t.Context(), keyOf(1).Compact(), cirque.PurgeEviction))
			require.True(t, faults(all[0]))
		})
	}
	t.Run("inline", func(t *testing.T) {
		c := New(Config{})
		body := patternOf(1000, 1)
		put(t, c, keyOf(1), newMeta(), body)
		h := lookup(t, c, keyOf(1))
		all := kept(t, h)
		require.Equal(t, body, all[0])
		require.NoError(t, h.Close())
		require.NotEqual(t, body, all[0])
	})
}

// To a system call, memory that was freed is a bad address and no fault.
func TestFreedBodyOnItsWayToASocketIsFound(t *testing.T) {
	for name, open := range hitsOn {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer listener.Close()
			conn, err := net.Dial("tcp", listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close()

			c := New(Config{})
			h := open(t, c, keyOf(1), make([]byte, 100_000))
			require.PanicsWithValue(t, "memcache: a body was freed while it was written", func() {
				_, _ = h.(io.WriterTo).WriteTo(writerFunc(func(p []byte) (int, error) {
					freeBody(h) // planted
					return conn.Write(p)
				}))
			})
		})
	}
}

// freeBody frees what h reads, as if nobody referred to it.
func freeBody(h cirque.HitHandler) {
	switch h := h.(type) {
	case *hit:
		h.body.free()
	case *partialHit:
		h.write.body.free()
	}
}

func TestFreedPageIsFound(t *testing.T) {
	c, keys := New(Config{}), oneShard(20)
	for _, key := range keys {
		put(t, c, key, newMeta(), patternOf(4000, 1))
	}
	s := c.shard(keys[0].PrimaryHash())
	combined := keys[19].Combined()
	r, _ := s.index.find(&combined, &s.records)
	block := s.block(r)
	require.False(t, faults(block))
	for _, key := range keys {
		require.NoError(t, c.Purge(t.Context(), key.Compact(), cirque.PurgeEviction))
	}
	require.True(t, faults(block))
}
