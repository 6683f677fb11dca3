package diskcache

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// mutilations change a file in the ways that a disk, a power cut or a careless person might.
var mutilations = []struct {
	name string
	harm func(b []byte, at int) []byte
}{
	{"truncate", func(b []byte, at int) []byte { return b[:at] }},
	{"flip", func(b []byte, at int) []byte { b[at] ^= 0x10; return b }},
	{"zero", func(b []byte, at int) []byte { clear(b[at:min(at+512, len(b))]); return b }},
	{"zero to the end", func(b []byte, at int) []byte { clear(b[at:]); return b }},
	{"extend", func(b []byte, at int) []byte { return append(b, b[:at]...) }},
	{"insert", func(b []byte, at int) []byte { return append(append(bytes.Clone(b[:at]), 'x'), b[at:]...) }},
	{"remove a byte", func(b []byte, at int) []byte { return append(bytes.Clone(b[:at]), b[at+1:]...) }},
	{"largest numbers", func(b []byte, at int) []byte {
		binary.LittleEndian.PutUint64(b[min(at, len(b)-8):], 1<<64-1)
		return b
	}},
}

// TestMutilatedFilesServeNoWrongBytes mutilates entry files while the store is closed and while it
// is open: the store serves the bytes that were stored, or none. A short run does each mutilation
// at every fourth place only.
func TestMutilatedFilesServeNoWrongBytes(t *testing.T) {
	for _, size := range []int{0, 1000, 60_000, 400_000} {
		s := openScanned(t, t.TempDir(), nil)
		key := testKey("a")
		body := testBody(1, size)
		put(t, s, key, body)
		require.NoError(t, s.UpdateMeta(ctx, key, testMeta("second"), tagOf(t, s, key)))
		whole, err := os.ReadFile(s.path(key.Combined()))
		require.NoError(t, err)
		places := places(len(whole), size)
		damaged := int64(0)
		for j, m := range mutilations {
			for i, at := range places {
				if !long && (i+j)%4 != 0 {
					continue
				}
				harmed := m.harm(bytes.Clone(whole), at)
				if bytes.Equal(harmed, whole) {
					continue
				}
				restart := i%16 == 0
				if restart {
					damaged += s.Stats().Damaged
					require.NoError(t, s.Close())
				} else {
					wantServed(t, s, key, body) // verifies the body; this must not count after the change
				}
				overwrite(t, s.path(key.Combined()), harmed)
				if restart {
					s = openTest(t, s.root.dir, nil)
				}
				wantServed(t, s, key, body)
				<-s.Scanned() // so that the scan does not find the file half overwritten

				// Put the file back, whether or not it was removed.
				_ = s.Purge(ctx, key.Compact(), cirque.PurgeEviction)
				require.Zero(t, s.Stats().OpenFiles)
				put(t, s, key, body)
				overwrite(t, s.path(key.Combined()), whole)
			}
		}
		require.Greater(t, damaged+s.Stats().Damaged, int64(len(places)/4))
		require.NoError(t, s.Close())
	}
}

// overwrite makes b the content of the file at path without replacing the file.
func overwrite(t *testing.T, path string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt(b, 0)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(int64(len(b))))
}

// places returns where to mutilate a file: the bytes at the edges of each part, and some between.
func places(fileSize, bodySize int) (at []int) {
	for i := 0; i < fileSize; i++ {
		header := i < bodyAt+4
		tail := i >= bodyAt+bodySize-2
		if header && i%7 == 0 || tail && i%67 == 0 || (i-bodyAt)%chunkSize == 0 || i%50_021 == 0 || i == fileSize-1 {
			at = append(at, i)
		}
	}
	return at
}

// wantServed reads key in every way. Each read must return bytes of body only, and all of them
// unless it fails.
func wantServed(t *testing.T, s *Store, key cirque.CacheKey, body []byte) {
	t.Helper()
	for _, byRead := range []bool{true, false} {
		got, err := get(s, key, byRead)
		require.True(t, bytes.HasPrefix(body, got), "wrong bytes were served")
		if err == nil {
			require.Len(t, got, len(body), "the body ended too early and without an error")
		}
	}
	_, hit, err := s.Lookup(ctx, key)
	if err != nil {
		require.ErrorIs(t, err, cirque.ErrNotFound)
		return
	}
	defer hit.Close()
	size, known := hit.Size()
	require.True(t, known)
	require.EqualValues(t, len(body), size)
	for _, r := range [][2]int64{{size / 2, size}, {0, size / 3}, {size / 3, size / 3}} {
		require.NoError(t, hit.SeekRange(r[0], r[1]))
		got, err := io.ReadAll(hit)
		require.True(t, bytes.HasPrefix(body[r[0]:r[1]], got), "wrong bytes of a range were served")
		if err == nil {
			require.Len(t, got, int(r[1]-r[0]))
		}
	}
}

func tagOf(t *testing.T, s *Store, key cirque.CacheKey) cirque.Tag {
	t.Helper()
	_, hit, err := s.Lookup(ctx, key)
	require.NoError(t, err)
	defer hit.Close()
	return hit.Tag()
}

// TestDamagedEntryIsAMiss checks that a truncated entry is not found, that it is counted, and that
// its file and its bytes are given up.
func TestDamagedEntryIsAMiss(t *testing.T) {
	for _, size := range []int{1000, 400_000} {
		s := openScanned(t, t.TempDir(), nil)
		key := testKey("a")
		put(t, s, key, testBody(1, size))
		path := s.path(key.Combined())
		require.NoError(t, os.Truncate(path, int64(size)))
		wantMiss(t, s, key)
		require.EqualValues(t, 1, s.Stats().Damaged)
		require.NoFileExists(t, path)
		require.Zero(t, s.Budget().Used())
		require.False(t, s.Eviction().Peek(key.Compact()))
	}
}

// TestDamageDuringReadIsAnError damages a body after its beginning was sent.
func TestDamageDuringReadIsAnError(t *testing.T) {
	s := openScanned(t, t.TempDir(), nil)
	key := testKey("a")
	body := testBody(1, 3*chunkSize)
	put(t, s, key, body)
	_, hit, err := s.Lookup(ctx, key)
	require.NoError(t, err)
	defer hit.Close()
	flipAt(t, s.path(key.Combined()), bodyAt+2*chunkSize+5)

	var got bytes.Buffer
	_, err = io.Copy(&got, hit)
	require.ErrorIs(t, err, errDamaged)
	require.Equal(t, body[:2*chunkSize], got.Bytes())
	wantMiss(t, s, key)
	require.EqualValues(t, 1, s.Stats().Damaged)
	hit.Close()
	require.Zero(t, s.Budget().Used())
}

func flipAt(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	require.NoError(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
}

// TestFileOfAnotherKeyIsAMiss swaps the files of two entries: neither is found.
func TestFileOfAnotherKeyIsAMiss(t *testing.T) {
	for _, size := range []int{1000, 400_000} {
		for _, restart := range []bool{false, true} {
			s := openScanned(t, t.TempDir(), nil)
			a, b := testKey("a"), testKey("b")
			put(t, s, a, testBody(1, size))
			put(t, s, b, testBody(2, size))
			wantBody(t, s, a, testBody(1, size))
			pathA, pathB := s.path(a.Combined()), s.path(b.Combined())
			if restart {
				require.NoError(t, s.Close())
			}
			require.NoError(t, os.Rename(pathA, pathA+"x"))
			require.NoError(t, os.Rename(pathB, pathA))
			require.NoError(t, os.Rename(pathA+"x", pathB))
			if restart {
				s = openTest(t, s.root.dir, nil)
			}
			wantMiss(t, s, a)
			wantMiss(t, s, b)
			<-s.Scanned()
			require.EqualValues(t, 2, s.Stats().Damaged)
			require.NoError(t, s.Close())
		}
	}
}

// TestBodyIsVerifiedOnceUntilItsFileChanges also checks that a new meta is not such a change.
func TestBodyIsVerifiedOnceUntilItsFileChanges(t *testing.T) {
	s := openScanned(t, t.TempDir(), nil)
	key := testKey("a")
	body := testBody(1, 3*chunkSize+7)
	tag := put(t, s, key, body)
	verified := func() bool {
		_, hit, err := s.Lookup(ctx, key)
		require.NoError(t, err)
		defer hit.Close()
		return hit.(*fileHit).check.whole.Load()
	}
	require.False(t, verified())
	eventually(t, "the body never counts as verified", func() bool {
		wantBody(t, s, key, body)
		return verified()
	})
	for i := range 3 {
		require.NoError(t, s.UpdateMeta(ctx, key, testMeta(name(i)), tag))
		require.True(t, verified())
	}
	flipAt(t, s.path(key.Combined()), bodyAt)
	require.False(t, verified())
	_, err := get(s, key, false)
	require.ErrorIs(t, err, errDamaged)
}
