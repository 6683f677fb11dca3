package diskcache

import (
	"bytes"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// TestTruncatedWriteFailsItsReaders truncates the file of a write under way: its readers get an
// error instead of zeros, whether the write goes on or ends there.
func TestTruncatedWriteFailsItsReaders(t *testing.T) {
	for _, goesOn := range []bool{true, false} {
		s := openScanned(t, t.TempDir(), nil)
		key, body := testKey("a"), testBody(1, 300_000)
		w, err := s.MissHandler(ctx, key, testMeta("a"), cirque.MissOptions{SizeHint: int64(len(body))})
		require.NoError(t, err)
		defer w.Abort()
		_, err = w.Write(body[:200_000])
		require.NoError(t, err)
		hit, err := w.(cirque.StreamingMissHandler).NewReader(ctx)
		require.NoError(t, err)
		first := make([]byte, 1000)
		_, err = io.ReadFull(hit, first)
		require.NoError(t, err)

		require.NoError(t, os.Truncate(w.(*write).file.temp(), 5000))
		done := make(chan []byte)
		go func() {
			got, err := io.ReadAll(hit)
			if err == nil {
				t.Error("the body ended without an error")
			}
			hit.Close() // an open hit would slow the rest of the write down
			done <- append(first, got...)
		}()
		if goesOn {
			_, _ = w.Write(body[200_000:])
		}
		_, err = w.Finish()
		require.Error(t, err)
		require.True(t, bytes.HasPrefix(body, <-done))
		require.NoError(t, s.Err(), "a damaged file counts as a failing disk")
		wantMiss(t, s, key)
	}
}

// TestNewMetaDoesNotDisturbReaders updates the meta of an entry while its body is read. That
// changes the file and its times.
func TestNewMetaDoesNotDisturbReaders(t *testing.T) {
	for _, byRead := range []bool{true, false} {
		s := openScanned(t, t.TempDir(), nil)
		key, body := testKey("a"), testBody(1, 400_000)
		put(t, s, key, body)
		wantBody(t, s, key, body)
		for range 2 {
			_, hit, err := s.Lookup(ctx, key)
			require.NoError(t, err)
			require.NoError(t, s.UpdateMeta(ctx, key, testMeta("b"), hit.Tag()))
			var from io.Reader = hit
			if byRead {
				from = struct{ io.Reader }{hit}
			}
			var got bytes.Buffer
			_, err = io.Copy(&got, from)
			require.NoError(t, err)
			require.True(t, bytes.Equal(body, got.Bytes()))
			require.NoError(t, hit.Close())
			time.Sleep(2 * racy)
		}
		require.Zero(t, s.Stats().Damaged)
	}
}
