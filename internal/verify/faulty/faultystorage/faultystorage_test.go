package faultystorage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/storagetest"
)

const body = "All that is gold does not glitter"

var (
	key       = cirque.NewCacheKey("", "/a", "")
	errBroken = errors.New("broken")
)

func TestWrapperWithoutFaultsKeepsTheRulesOfStorage(t *testing.T) {
	storagetest.Run(t, func(testing.TB) cirque.Storage {
		wrapped, _ := faultystorage.Wrap(memcache.New(memcache.Config{}), nil)
		return wrapped
	}, storagetest.Features{Streaming: true, Seeking: true})
}

// onlyStorage hides the optional capabilities of a Storage.
type onlyStorage struct{ cirque.Storage }

func TestWrapperHasNoCapabilityThatTheStorageLacks(t *testing.T) {
	wrapped, _ := faultystorage.Wrap(onlyStorage{memcache.New(memcache.Config{})}, nil)
	_, streams := wrapped.(cirque.StreamingStorage)
	require.False(t, streams)
}

// callAll makes every call of a Storage once. It stops at the first error and leaves nothing open.
func callAll(ctx context.Context, storage cirque.Storage) (read string, err error) {
	meta := new(cirque.CacheMeta)
	streaming := storage.(cirque.StreamingStorage)

	write, err := storage.MissHandler(ctx, key, meta, cirque.MissOptions{})
	if err != nil {
		return "", err
	}
	defer write.Abort()
	attached, err := write.(cirque.StreamingMissHandler).NewReader(ctx)
	if err != nil {
		return "", err
	}
	defer attached.Close()
	if _, err := io.WriteString(write, body); err != nil {
		return "", err
	}
	if _, err := write.Finish(); err != nil {
		return "", err
	}
	if err := storage.UpdateMeta(ctx, key, meta, write.Tag()); err != nil {
		return "", err
	}
	_, followed, err := streaming.LookupStreaming(ctx, key, write.Tag())
	if err != nil {
		return "", err
	}
	defer followed.Close()
	_, hit, err := storage.Lookup(ctx, key)
	if err != nil {
		return "", err
	}
	defer func() {
		if closing := hit.Close(); err == nil {
			err = closing
		}
	}()
	var sink bytes.Buffer
	if _, err := hit.(io.WriterTo).WriteTo(&sink); err != nil {
		return sink.String(), err
	}
	if err := hit.SeekRange(0, int64(len(body))); err != nil {
		return sink.String(), err
	}
	all, err := io.ReadAll(struct{ io.Reader }{hit})
	if err != nil {
		return string(all), err
	}
	return string(all), storage.Purge(ctx, key.Compact(), cirque.PurgeInvalidation)
}

func TestEveryCallFails(t *testing.T) {
	for _, op := range faultystorage.Ops() {
		t.Run(op.String(), func(t *testing.T) {
			storage, tally := faultystorage.Wrap(memcache.New(memcache.Config{}),
				faultystorage.Nth(op, 1, faultystorage.Fault{Err: errBroken}))
			_, err := callAll(t.Context(), storage)
			if op == faultystorage.MissAbort {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, errBroken)
			}
			require.Positive(t, tally.Calls(op))
			require.Empty(t, tally.Open())

			_, err = callAll(t.Context(), storage)
			require.NoError(t, err, "only the first call fails")
		})
	}
}

func TestEveryCallPanics(t *testing.T) {
	for _, op := range faultystorage.Ops() {
		t.Run(op.String(), func(t *testing.T) {
			storage, tally := faultystorage.Wrap(memcache.New(memcache.Config{}),
				faultystorage.Nth(op, 1, faultystorage.Fault{Panic: errBroken}))
			require.PanicsWithError(t, "broken", func() { callAll(t.Context(), storage) })
			require.Empty(t, tally.Open())
		})
	}
}

func TestEveryCallWaits(t *testing.T) {
	for _, op := range faultystorage.Ops() {
		t.Run(op.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hold := make(chan struct{})
				storage, _ := faultystorage.Wrap(memcache.New(memcache.Config{}),
					faultystorage.Nth(op, 1, faultystorage.Fault{Delay: time.Minute, Hold: hold}))
				time.AfterFunc(time.Hour, func() { close(hold) })
				start := time.Now()
				read, err := callAll(t.Context(), storage)
				require.NoError(t, err)
				require.Equal(t, body, read)
				require.Equal(t, time.Hour, time.Since(start))
			})
		})
	}
}

func TestContextEndsTheWait(t *testing.T) {
	for _, held := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			fault := faultystorage.Fault{Delay: time.Hour}
			if held {
				fault = faultystorage.Fault{Hold: make(chan struct{})}
			}
			storage, tally := faultystorage.Wrap(memcache.New(memcache.Config{}),
				faultystorage.Nth(faultystorage.HitRead, 0, fault))
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			_, err := callAll(ctx, storage)
			require.ErrorIs(t, err, context.Canceled)
			require.Empty(t, tally.Open())
		})
	}
}

func TestPartialTransfersBytesBeforeTheError(t *testing.T) {
	for _, op := range []faultystorage.Op{faultystorage.HitRead, faultystorage.HitWriteTo} {
		storage, _ := faultystorage.Wrap(memcache.New(memcache.Config{}),
			faultystorage.Nth(op, 1, faultystorage.Fault{Err: errBroken, Partial: 5}))
		read, err := callAll(t.Context(), storage)
		require.ErrorIs(t, err, errBroken)
		require.Equal(t, body[:5], read)
	}
	storage, _ := faultystorage.Wrap(memcache.New(memcache.Config{}),
		faultystorage.Nth(faultystorage.MissWrite, 1, faultystorage.Fault{Err: errBroken, Partial: 5}))
	write, err := storage.MissHandler(t.Context(), key, new(cirque.CacheMeta), cirque.MissOptions{})
	require.NoError(t, err)
	defer write.Abort()
	n, err := io.WriteString(write, body)
	require.ErrorIs(t, err, errBroken)
	require.Equal(t, 5, n)
}

func TestOpenListsUnfinishedHandlers(t *testing.T) {
	storage, tally := faultystorage.Wrap(memcache.New(memcache.Config{}), nil)
	write, err := storage.MissHandler(t.Context(), key, new(cirque.CacheMeta), cirque.MissOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"write of /a"}, tally.Open())
	_, err = write.Finish()
	require.NoError(t, err)
	_, hit, err := storage.Lookup(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, []string{"hit on /a"}, tally.Open())
	require.NoError(t, hit.Close())
	require.Empty(t, tally.Open())
}

func TestOpString(t *testing.T) {
	require.Equal(t, "HitHandler.Read", faultystorage.HitRead.String())
	require.Equal(t, "Op(0)", faultystorage.Op(0).String())
}
