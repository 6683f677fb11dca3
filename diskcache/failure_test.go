//go:build linux

package diskcache

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// smallDisk returns the mount point of a new file system of that size. It skips the test if it may
// not mount one.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("cannot mount a file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// readOnly makes dir and the directories below it read-only, or writable again. It skips the test
// if it cannot.
func readOnly(t *testing.T, dir string, on bool) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return ignoreMissing(err)
		}
		if os.Geteuid() != 0 {
			mode := os.FileMode(0o700)
			if on {
				mode = 0o500
			}
			return os.Chmod(path, mode)
		}
		if err := setImmutable(path, on); err != nil {
			t.Skipf("cannot make a directory immutable: %v", err)
		}
		return nil
	}))
}

// setImmutable sets or clears a directory's immutable attribute, which applies to root as well.
func setImmutable(path string, on bool) error {
	const (
		getFlags  = 0x80086601 // FS_IOC_GETFLAGS
		setFlags  = 0x40086602 // FS_IOC_SETFLAGS
		immutable = 0x10       // FS_IMMUTABLE_FL
	)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var flags uint
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), getFlags, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		return errno
	}
	flags &^= immutable
	if on {
		flags |= immutable
	}
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), setFlags, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		return errno
	}
	return nil
}

// fetch looks key up in s and fills it on a miss, as HttpCache does. It returns the body that a
// client gets: the stored one, the one being stored, or, if the store fails, the origin's.
func fetch(s *Store, key cirque.CacheKey, body []byte) ([]byte, error) {
	_, hit, err := s.Lookup(ctx, key)
	switch {
	case err == nil:
		defer hit.Close()
		return io.ReadAll(hit)
	case !errors.Is(err, cirque.ErrNotFound):
		return body, nil // the request goes on without the cache
	}
	w, err := s.MissHandler(ctx, key, testMeta("a"), cirque.MissOptions{SizeHint: int64(len(body))})
	if err != nil {
		return body, nil // the request goes on without the cache
	}
	defer w.Abort()
	reader, err := w.(cirque.StreamingMissHandler).NewReader(ctx)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	var got []byte
	var readErr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		got, readErr = io.ReadAll(reader)
	}()
	for rest := body; len(rest) > 0; {
		n, err := w.Write(rest[:min(10_000, len(rest))])
		if err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	finished, err := w.Finish()
	<-done
	if err == nil {
		for _, victim := range s.Eviction().Admit(key.Compact(), finished.Size, time.Now(), 0) {
			_ = s.Purge(ctx, victim, cirque.PurgeEviction)
		}
	}
	return got, readErr
}

// clients starts clients that fetch bodies through s until stop is called. A wrong body fails the
// test.
func clients(t *testing.T, s *Store) (stop func()) {
	t.Helper()
	var wg sync.WaitGroup
	var ended atomic.Bool
	for c := range 4 {
		wg.Go(func() {
			for i := c; !ended.Load(); i++ {
				n := i % 100
				body := testBody(uint64(n), n*2000)
				got, err := fetch(s, testKey(name(n)), body)
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("client %d, body %d: %d bytes, %v; the store: %v", c, n, len(got), err, s.Err())
					return
				}
			}
		})
	}
	return func() {
		ended.Store(true)
		wg.Wait()
	}
}

func TestFullDiskIsUsedAgain(t *testing.T) {
	dir := smallDisk(t, "4m")
	var reports atomic.Int64
	s := openScanned(t, dir, &Config{MaxBytes: 1 << 30, OnHealth: func(error) { reports.Add(1) }})
	stop := clients(t, s)
	eventually(t, "the disk never filled up", func() bool { return reports.Load() >= 4 })
	stop()
	eventually(t, "the store did not use the disk again", func() bool { return s.Err() == nil })
	_, err := tryPut(s, testKey("small"), []byte("small"))
	for ; err != nil; _, err = tryPut(s, testKey("small"), []byte("small")) {
		time.Sleep(firstProbe)
	}
	wantBody(t, s, testKey("small"), []byte("small"))
	wantBalanced(t, s)
}

func TestMinFreeBytesStayFree(t *testing.T) {
	dir := smallDisk(t, "16m")
	const minFree = 8 << 20
	s := openScanned(t, dir, &Config{MaxBytes: 1 << 30, MinFreeBytes: minFree})
	stop := clients(t, s)
	free := func() int64 {
		n, known, err := freeBytes(dir)
		require.NoError(t, err)
		require.True(t, known)
		return n
	}
	eventually(t, "the store does not use the space that it may use", func() bool { return free() < minFree+1<<20 })
	others := filepath.Join(dir, "somebody else's")
	for grown := int64(1); grown <= 3; grown += 2 {
		require.NoError(t, os.WriteFile(others, make([]byte, grown<<20), 0o600))
		eventually(t, "the store does not make room for others", func() bool { return free() >= minFree-64<<10 })
	}
	require.Positive(t, s.Stats().Entries)
	stop()
	require.NoError(t, s.Err())
	wantBalanced(t, s)
}

func TestReadOnlyDirectory(t *testing.T) {
	dir := t.TempDir()
	s := openScanned(t, dir, &Config{MaxBytes: 8 << 20})
	defer readOnly(t, dir, false)
	key := testKey("kept")
	body := testBody(1, 100_000)
	put(t, s, key, body)
	stop := clients(t, s)
	time.Sleep(50 * time.Millisecond)
	readOnly(t, dir, true)
	eventually(t, "the store does not notice", func() bool { return s.Err() != nil })
	if got, err := get(s, key, false); err == nil { // unless it was evicted
		require.Equal(t, body, got, "a hit has the wrong body")
	}

	// The disk refuses to remove the file of a purged entry: the purge holds all the same, and the
	// file is removed later.
	purged := testKey(name(50))
	_ = s.Purge(ctx, purged.Compact(), cirque.PurgeInvalidation)
	stop()
	wantMiss(t, s, purged)

	readOnly(t, dir, false)
	eventually(t, "the store did not write again", func() bool { return s.Err() == nil })
	require.NoFileExists(t, s.path(purged.Combined()))
	put(t, s, key, body)
	wantBody(t, s, key, body)
	s = reopen(t, s, &Config{MaxBytes: 8 << 20})
	wantMiss(t, s, purged)
	wantBalanced(t, s)
}

// TestVanishedDirectory moves the directory away and back, and then removes it.
func TestVanishedDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	s := openScanned(t, dir, &Config{MaxBytes: 8 << 20})
	key := testKey("kept")
	body := testBody(1, 100_000)
	put(t, s, key, body)
	stop := clients(t, s)
	require.NoError(t, os.Rename(dir, dir+".away"))
	eventually(t, "the store does not notice", func() bool { return s.Err() != nil })
	_, _, err := s.Lookup(ctx, key)
	require.Error(t, err)
	require.NotErrorIs(t, err, cirque.ErrNotFound, "a missing directory must not look like a missing entry")
	require.NoError(t, os.Rename(dir+".away", dir))
	eventually(t, "the store did not use the directory again", func() bool { return s.Err() == nil })
	stop()
	if s.Eviction().Peek(key.Compact()) {
		wantBody(t, s, key, body)
	}

	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.Mkdir(dir, 0o700))
	stop = clients(t, s)
	eventually(t, "the store did not take over the new directory", func() bool {
		_, err := os.Stat(filepath.Join(dir, lockName))
		return err == nil && s.Err() == nil
	})
	stop()
	put(t, s, key, body)
	wantBody(t, s, key, body)
	s = reopen(t, s, &Config{MaxBytes: 8 << 20})
	wantBody(t, s, key, body)
	wantBalanced(t, s)
}

// TestEmptyMountPointIsNotFilled unmounts the file system of the directory: the store must not
// write to the mount point.
func TestEmptyMountPointIsNotFilled(t *testing.T) {
	dir := smallDisk(t, "16m")
	s := openScanned(t, dir, nil)
	put(t, s, testKey("a"), []byte("body"))
	require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH))
	for range 3 {
		_, _, err := s.Lookup(ctx, testKey("a"))
		require.Error(t, err)
		require.NotErrorIs(t, err, cirque.ErrNotFound)
	}
	_, err := tryPut(s, testKey("b"), []byte("body"))
	require.Error(t, err)
	require.Error(t, s.Err())
	require.Error(t, s.probeUpdates())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestMaxOpenFiles(t *testing.T) {
	s := openScanned(t, t.TempDir(), &Config{MaxOpenFiles: 2})
	key := testKey("a")
	body := testBody(1, 200_000)
	put(t, s, key, body)
	var hits []cirque.HitHandler
	for range 2 {
		_, hit, err := s.Lookup(ctx, key)
		require.NoError(t, err)
		defer hit.Close()
		hits = append(hits, hit)
	}
	_, _, err := s.Lookup(ctx, key)
	require.ErrorIs(t, err, errBusy)
	require.NoError(t, s.Err())
	hits[0].Close()
	wantBody(t, s, key, body)
}
