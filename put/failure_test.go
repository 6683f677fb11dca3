package put_test

import (
	"errors"
	"io"
	"testing"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/put"
	"github.com/stretchr/testify/require"
)

func TestStorageErrorIsReported(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, op := range []faultystorage.Op{
		faultystorage.MissHandler, faultystorage.MissWrite, faultystorage.MissFinish,
	} {
		t.Run(op.String(), func(t *testing.T) {
			opts := newOptions()
			storage, tally := faultystorage.Wrap(opts.Storage, faultystorage.Nth(op, 1, faultystorage.Fault{Err: broken}))
			opts.Storage = storage
			err := putAll(t, opts, newRequest(), ok+"\r\nhello")
			require.ErrorIs(t, err, broken)
			var notStored *put.NotStoredError
			require.ErrorAs(t, err, &notStored)
			require.Equal(t, cirque.StorageError, notStored.Reason)
			require.Empty(t, tally.Open(), "handlers are left open")

			var next cirque.HttpCache
			defer next.Release()
			next.Enable(opts)
			next.SetKey(key)
			next.TryLock()
			require.True(t, next.IsWriter(), "the lock was not released")
		})
	}
}

// TestVariantNeedsItsVaryRecord checks that a variant is not stored if its vary record cannot be
// stored.
func TestVariantNeedsItsVaryRecord(t *testing.T) {
	broken := errors.New("disk on fire")
	for name, wire := range map[string]string{"": ok + "Vary: Foo\r\n\r\n", " with a body": ok + "Vary: Foo\r\n\r\nhello"} {
		t.Run("a response"+name, func(t *testing.T) {
			opts := newOptions()
			opts.Storage, _ = faultystorage.Wrap(opts.Storage, faultystorage.Nth(faultystorage.MissHandler, 2, faultystorage.Fault{Err: broken}))
			err := putAll(t, opts, newRequest(), wire)
			require.ErrorIs(t, err, broken)
			var notStored *put.NotStoredError
			require.ErrorAs(t, err, &notStored)
			require.Equal(t, cirque.StorageError, notStored.Reason)
			meta, _ := get(t, opts, newRequest())
			require.Nil(t, meta)
		})
	}
}

// TestRefusedVaryRecordIsReported checks that a variant is not stored if its vary record is purged
// or finds no room, and that the error says so.
func TestRefusedVaryRecordIsReported(t *testing.T) {
	for name, wire := range map[string]string{"": ok + "Vary: Foo\r\n\r\n", " with a body": ok + "Vary: Foo\r\n\r\nhello"} {
		t.Run("purged, a response"+name, func(t *testing.T) {
			opts := newOptions()
			opts.Storage, _ = faultystorage.Wrap(opts.Storage, func(op faultystorage.Op, n int) faultystorage.Fault {
				if op == faultystorage.Lookup && n == 3 { // once the response has a writer
					_ = opts.Purge(t.Context(), key)
				}
				return faultystorage.Fault{}
			})
			err := putAll(t, opts, newRequest(), wire)
			require.ErrorIs(t, err, cirque.ErrPurged)
			var notStored *put.NotStoredError
			require.ErrorAs(t, err, &notStored)
			require.Equal(t, cirque.Deferred, notStored.Reason)
		})
		t.Run("no room, a response"+name, func(t *testing.T) {
			opts := newOptions()
			opts.Storage, _ = faultystorage.Wrap(opts.Storage, faultystorage.Nth(faultystorage.MissFinish, 1, faultystorage.Fault{Err: cirque.ErrUnlinked}))
			err := putAll(t, opts, newRequest(), wire)
			require.ErrorIs(t, err, cirque.ErrUnlinked)
			var notStored *put.NotStoredError
			require.ErrorAs(t, err, &notStored)
			require.Equal(t, cirque.ResponseTooLarge, notStored.Reason)
		})
	}
}

func TestNothingIsLeftOpen(t *testing.T) {
	for name, wire := range map[string]string{
		"nothing": "", "half a header": "HTTP/1.1", "half a body": ok + "Content-Length: 9\r\n\r\nhello",
		"all": ok + "Content-Length: 5\r\n\r\nhello", "refused": "HTTP/1.1 500 Oops\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			opts := newOptions()
			require.NoError(t, putAll(t, opts, newRequest(), ok+"\r\nbefore"))
			storage, tally := faultystorage.Wrap(opts.Storage, nil)
			opts.Storage = storage
			p := put.New(t.Context(), opts, key, newRequest(), put.Config{})
			_, _ = io.WriteString(p, wire)
			p.Abort()
			p.Abort()
			require.Error(t, p.Err())
			require.Empty(t, tally.Open())
			_, body := get(t, opts, newRequest())
			require.Equal(t, "before", body)
		})
	}
}
