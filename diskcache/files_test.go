//go:build linux

package diskcache

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// misplacements put something other than a regular file at path.
var misplacements = []struct {
	name  string
	place func(t *testing.T, path string)
}{
	{"fifo", func(t *testing.T, path string) { require.NoError(t, syscall.Mkfifo(path, 0o600)) }},
	{"socket", func(t *testing.T, path string) {
		at := path
		if len(at) > 100 { // too long for the address of a socket
			dir, err := os.MkdirTemp("", "s")
			require.NoError(t, err)
			t.Cleanup(func() { os.RemoveAll(dir) })
			at = filepath.Join(dir, "s")
		}
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: at, Net: "unix"})
		require.NoError(t, err)
		l.SetUnlinkOnClose(false)
		t.Cleanup(func() { l.Close() })
		if at != path {
			require.NoError(t, os.Rename(at, path))
		}
	}},
	{"device", func(t *testing.T, path string) {
		if err := syscall.Mknod(path, syscall.S_IFCHR|0o600, 1<<8|5); err != nil { // /dev/zero
			t.Skipf("cannot make a device: %v", err)
		}
	}},
	{"empty directory", func(t *testing.T, path string) { require.NoError(t, os.Mkdir(path, 0o700)) }},
	{"directory", func(t *testing.T, path string) {
		require.NoError(t, os.MkdirAll(filepath.Join(path, "a", "b"), 0o700))
	}},
	{"symlink to a device", func(t *testing.T, path string) { require.NoError(t, os.Symlink("/dev/zero", path)) }},
	{"symlink to an entry", func(t *testing.T, path string) {
		require.NoError(t, os.Rename(path+".was", path+".copy"))
		require.NoError(t, os.Symlink(path+".copy", path))
	}},
	{"symlink to nothing", func(t *testing.T, path string) { require.NoError(t, os.Symlink("nothing", path)) }},
}

// within fails the test if f takes longer than any disk should.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal(what + " hangs")
	}
}

// misplace moves the file at path aside and calls place to put something else there.
func misplace(t *testing.T, path string, place func(*testing.T, string)) {
	t.Helper()
	require.NoError(t, os.Rename(path, path+".was"))
	place(t, path)
}

// TestMisplacedEntryIsAMiss puts something other than a regular file in the place of an entry's
// file. That is a miss, without waiting. The next write replaces it, and the store keeps using the
// disk.
func TestMisplacedEntryIsAMiss(t *testing.T) {
	for _, m := range misplacements {
		for _, size := range []int{1000, 400_000} {
			t.Run(m.name, func(t *testing.T) {
				s := openScanned(t, t.TempDir(), &Config{SlowAfter: time.Second})
				key, body := testKey("a"), testBody(1, size)
				other := testKey("b")
				put(t, s, other, body)
				tag := put(t, s, key, body)
				empty := s.Budget().Used()
				misplace(t, s.path(key.Combined()), m.place)
				within(t, "UpdateMeta", func() {
					require.ErrorIs(t, s.UpdateMeta(ctx, key, testMeta("b"), tag), cirque.ErrNotFound)
				})
				within(t, "a replacing write", func() {
					w, err := s.MissHandler(ctx, key, testMeta("b"), cirque.MissOptions{Replaces: tag})
					require.NoError(t, err)
					_, err = w.Finish()
					require.ErrorIs(t, err, cirque.ErrNotFound)
				})
				within(t, "Lookup", func() { wantMiss(t, s, key) })
				require.NoError(t, s.Err())
				require.EqualValues(t, 1, s.Stats().Damaged)
				put(t, s, key, body)
				wantBody(t, s, key, body)
				require.Equal(t, empty, s.Budget().Used())

				misplace(t, s.path(key.Combined()), m.place)
				put(t, s, key, body) // without a lookup before
				wantBody(t, s, key, body)

				misplace(t, s.path(key.Combined()), m.place)
				require.NoError(t, s.Purge(ctx, key.Compact(), cirque.PurgeInvalidation))
				wantMiss(t, s, key)
				put(t, s, key, body)
				wantBody(t, s, other, body)
				require.NoError(t, s.Err())
				require.Zero(t, s.Stats().Bypassed)
			})
		}
	}
}

// TestMisplacedFilesDoNotBlockOpenOrClose puts something other than a regular file in the place of
// an entry, of a shard's directory, and of the store's own files.
func TestMisplacedFilesDoNotBlockOpenOrClose(t *testing.T) {
	for _, m := range misplacements {
		if strings.HasPrefix(m.name, "symlink to an") {
			continue
		}
		for _, where := range []string{"entry", "shard", indexName, indexName + ".tmp", "probe", journalName, journalName + ".tmp", evictionName, evictionName + "/00000.eviction", lockName} {
			if where == lockName && !strings.Contains(m.name, "fifo") && m.name != "socket" {
				continue
			}
			for _, clean := range []bool{true, false} { // whether the last process closed the store
				t.Run(m.name+" "+strings.ReplaceAll(where, "/", "_"), func(t *testing.T) {
					s := openScanned(t, t.TempDir(), nil)
					key, other, body := testKey("a"), testKey("b"), testBody(1, 100_000)
					require.NotEqual(t, key.Combined()[0], other.Combined()[0])
					put(t, s, key, body)
					put(t, s, other, body)
					dir, path := s.root.dir, s.path(key.Combined())
					require.NoError(t, s.Close())
					if !clean {
						_ = os.Remove(filepath.Join(dir, indexName))
						_ = os.RemoveAll(filepath.Join(dir, evictionName))
					}
					switch where {
					case "entry":
					case "shard":
						path = filepath.Dir(path)
					default:
						path = filepath.Join(dir, where)
					}
					_ = os.MkdirAll(filepath.Dir(path), 0o700)
					require.NoError(t, os.RemoveAll(path))
					m.place(t, path)
					within(t, "Open", func() { s = openTest(t, dir, &Config{SlowAfter: time.Second}) })
					within(t, "the scan", func() { <-s.Scanned() })
					if strings.HasPrefix(where, journalName) {
						// A purge after the loss of the journal must still work.
						within(t, "a purge", func() { require.NoError(t, s.Purges().PurgeAll(ctx)) })
					}
					within(t, "a lookup", func() {
						wantBody(t, s, other, body)
						if where == "entry" || where == "shard" {
							wantMiss(t, s, key)
							if !strings.Contains(m.name, "directory") || where != "shard" {
								put(t, s, key, body)
							}
						}
					})
					within(t, "a probe", func() {
						require.NoError(t, s.probeReads())
						require.NoError(t, s.probeUpdates())
					})
					require.NoError(t, s.Err())
					require.Zero(t, s.Stats().Bypassed)
					within(t, "Close", func() { require.NoError(t, s.Close()) })
					s = openScanned(t, dir, nil)
					wantBody(t, s, other, body)
				})
			}
		}
	}
}

// TestProbeSurvivesLossOfTheLockFile removes the lock file and replaces it: probes still find that
// the disk works.
func TestProbeSurvivesLossOfTheLockFile(t *testing.T) {
	s := openScanned(t, t.TempDir(), nil)
	path := filepath.Join(s.root.dir, lockName)
	require.NoError(t, os.Remove(path))
	require.NoError(t, s.probeReads())
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	within(t, "the probe", func() { require.NoError(t, s.probeReads()) })
}
