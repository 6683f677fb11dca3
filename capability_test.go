package cirque_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

func TestLookupStreamingFindsTheWriteByItsTag(t *testing.T) {
	h := inMemory(t)
	_, f := h.fill(keyA, freshMeta("a"))
	h.write(f, "half")
	meta, hit, err := cirque.LookupStreaming(t.Context(), h.Storage, keyA, f.Tag())
	require.NoError(t, err)
	require.Equal(t, "a", meta.Header().Get("Etag"))
	require.Equal(t, f.Tag(), hit.Tag())
	require.NoError(t, hit.Close())
	_, _, err = cirque.LookupStreaming(t.Context(), h.Storage, keyA, f.Tag()+1)
	require.ErrorIs(t, err, cirque.ErrNotFound)
	_, _, err = cirque.LookupStreaming(t.Context(), newPlainStore(), keyA, f.Tag())
	require.ErrorIs(t, err, errors.ErrUnsupported)
}
