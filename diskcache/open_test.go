package diskcache

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cirquecache/cirque"
	"github.com/stretchr/testify/require"
)

func TestOpenTwiceIsErrInUse(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, nil)
	_, err := Open(dir, nil)
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, dir)
	require.NoError(t, s.Close())
	openTest(t, dir, nil)
}

func TestClosedStoreIsErrClosed(t *testing.T) {
	s := openScanned(t, t.TempDir(), nil)
	key := testKey("a")
	body := testBody(1, 500_000)
	tag := put(t, s, key, body)
	_, hit, err := s.Lookup(ctx, key)
	require.NoError(t, err)
	defer hit.Close()
	w, err := s.MissHandler(ctx, testKey("b"), testMeta("b"), cirque.MissOptions{SizeHint: -1})
	require.NoError(t, err)
	defer w.Abort()
	_, err = w.Write(body)
	require.NoError(t, err)
	require.NoError(t, s.Close())

	require.ErrorIs(t, s.Close(), ErrClosed)
	_, _, err = s.Lookup(ctx, key)
	require.ErrorIs(t, err, ErrClosed)
	_, err = s.MissHandler(ctx, key, testMeta("a"), cirque.MissOptions{})
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, s.Purge(ctx, key.Compact(), cirque.PurgeInvalidation), ErrClosed)
	require.ErrorIs(t, s.UpdateMeta(ctx, key, testMeta("b"), tag), ErrClosed)
	_, err = w.Finish()
	require.ErrorIs(t, err, ErrClosed)
	got := make([]byte, len(body))
	n, err := hit.Read(got[:1000])
	require.NoError(t, err, "an open hit cannot be read after Close")
	require.Equal(t, body[:n], got[:n])
}

func TestInvalidConfigIsAnError(t *testing.T) {
	_, err := Open(t.TempDir(), &Config{MaxBytes: -1, MinFreeBytes: -1, MaxOpenFiles: -1})
	require.ErrorContains(t, err, "MaxBytes")
	require.ErrorContains(t, err, "MinFreeBytes")
	require.ErrorContains(t, err, "MaxOpenFiles")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = Open(file, nil)
	require.Error(t, err)
}

func TestFilesAreReadableByTheirOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "cache")
	s := openScanned(t, dir, nil)
	put(t, s, testKey("a"), []byte("private"))
	require.NoError(t, s.Close())
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		info, _ := d.Info()
		want := os.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		require.Equal(t, want, info.Mode().Perm(), path)
		return err
	}))
}
