//go:build unix

package diskcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// crashPurge makes this binary a child that stores two entries, purges one of them or both, says
// so, and waits to be killed.
const crashPurge = "CIRQUE_CRASH_PURGE"

var (
	grouped   = testKey("grouped")
	ungrouped = testKey("ungrouped")
	ofOrigin  = cirque.GroupHash("https://example.com", "g")
)

// purgesOf are the purges that have to last; ungroupedStays says what the entry in no group comes
// to.
var purgesOf = map[string]struct {
	do             func(*cirque.PurgeState) error
	ungroupedStays bool
}{
	"all":   {func(p *cirque.PurgeState) error { return p.PurgeAll(context.Background()) }, false},
	"group": {func(p *cirque.PurgeState) error { return p.PurgeGroups(context.Background(), ofOrigin) }, true},
	"many groups": {func(p *cirque.PurgeState) error {
		groups := []cirque.HashBinary{ofOrigin}
		for n := range 100 {
			groups = append(groups, cirque.GroupHash("https://example.com", fmt.Sprint(n)))
		}
		return p.PurgeGroups(context.Background(), groups...)
	}, true},
}

// storeAsCache stores an entry of now as a cache does.
func storeAsCache(s *Store, key cirque.CacheKey, header http.Header) error {
	var c cirque.HttpCache
	c.Enable(&cirque.CacheOptions{Storage: s})
	defer c.Release()
	c.SetKey(key)
	c.Bypass()
	now := time.Now()
	meta := cirque.NewCacheMeta(http.StatusOK, header, now, now.Add(time.Hour), 0, 0)
	meta.SetGroups("https://example.com")
	c.SetMeta(meta)
	f, err := c.StartFill(context.Background(), cirque.FillOptions{})
	if err != nil {
		return err
	}
	if _, err := io.WriteString(f, "body"); err != nil {
		return err
	}
	return f.Finish()
}

func storeBoth(s *Store) error {
	return errors.Join(
		storeAsCache(s, grouped, http.Header{"Cache-Groups": {`"f", "g"`}}),
		storeAsCache(s, ungrouped, http.Header{"Cache-Groups": {`"f"`}}))
}

// findsAsCache reports whether a cache finds the entry.
func findsAsCache(t *testing.T, s *Store, key cirque.CacheKey) bool {
	t.Helper()
	var c cirque.HttpCache
	c.Enable(&cirque.CacheOptions{Storage: s})
	defer c.Release()
	c.SetKey(key)
	_, hit, err := c.Lookup(t.Context())
	if err != nil {
		require.ErrorIs(t, err, cirque.ErrNotFound)
		return false
	}
	require.NoError(t, hit.Close())
	return true
}

func purgeAndWait(dir, how string) {
	s, err := Open(dir, nil)
	if err == nil {
		err = storeBoth(s)
	}
	if err == nil {
		err = purgesOf[how].do(s.Purges())
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("purged")
	select {}
}

// A purge that has returned holds after a restart, whether the store was closed or its process
// killed at that moment. What is stored after it is there after the next restart.
func TestPurgesOutliveTheProcess(t *testing.T) {
	for how, purge := range purgesOf {
		for ending, end := range map[string]func(t *testing.T, dir string){
			"closed": func(t *testing.T, dir string) {
				s := openScanned(t, dir, nil)
				require.NoError(t, storeBoth(s))
				require.NoError(t, purge.do(s.Purges()))
				require.NoError(t, s.Close())
			},
			"killed": func(t *testing.T, dir string) {
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), crashDir+"="+dir, crashPurge+"="+how)
				out, err := cmd.StdoutPipe()
				require.NoError(t, err)
				require.NoError(t, cmd.Start())
				said := make([]byte, len("purged\n"))
				_, err = io.ReadFull(out, said)
				require.NoError(t, err)
				require.Equal(t, "purged\n", string(said))
				require.NoError(t, cmd.Process.Kill())
				require.Error(t, cmd.Wait())
			},
		} {
			t.Run(how+", "+ending, func(t *testing.T) {
				dir := t.TempDir()
				end(t, dir)
				for range 2 {
					s := openScanned(t, dir, nil)
					require.False(t, findsAsCache(t, s, grouped))
					require.Equal(t, purge.ungroupedStays, findsAsCache(t, s, ungrouped))
					require.NoError(t, s.Close())
				}
				s := openScanned(t, dir, nil)
				require.NoError(t, storeBoth(s))
				require.True(t, findsAsCache(t, s, grouped))
				require.NoError(t, s.Close())
				s = openScanned(t, dir, nil)
				require.True(t, findsAsCache(t, s, grouped))
				require.True(t, findsAsCache(t, s, ungrouped))
			})
		}
	}
}

// Where the journal cannot be believed, nobody knows what was purged: nothing that is older is
// found any more. What a crash left unfinished at its end is no damage.
func TestDamagedJournal(t *testing.T) {
	for name, test := range map[string]struct {
		change func(b []byte) []byte
		keeps  bool
	}{
		"whole":                    {func(b []byte) []byte { return b }, true},
		"half a record more":       {func(b []byte) []byte { return append(b, make([]byte, 20)...) }, true},
		"zeros more":               {func(b []byte) []byte { return append(b, make([]byte, 4096)...) }, true},
		"half a record, and zeros": {func(b []byte) []byte { return append(append(b, b[16:30]...), make([]byte, 4096)...) }, true},
		"missing":                  {func([]byte) []byte { return nil }, false},
		"empty":                    {func([]byte) []byte { return []byte{} }, false},
		"magic alone":              {func(b []byte) []byte { return b[:16] }, false},
		"another magic":            {func(b []byte) []byte { b[3]++; return b }, false},
		"a bit of the first":       {func(b []byte) []byte { b[25] ^= 1; return b }, false},
		"a bit of the last":        {func(b []byte) []byte { b[len(b)-20] ^= 1; return b }, false},
		"a bit of the last sum":    {func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, false},
		"too large":                {func(b []byte) []byte { return append(b, make([]byte, maxJournal)...) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openScanned(t, dir, nil)
			require.NoError(t, s.Purges().PurgeGroups(ctx, ofOrigin))
			require.NoError(t, storeBoth(s))
			require.NoError(t, s.Close())
			path := filepath.Join(dir, journalName)
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.Remove(path))
			if b = test.change(b); b != nil {
				require.NoError(t, os.WriteFile(path, b, 0o600))
			}
			s = openScanned(t, dir, nil)
			require.Equal(t, test.keeps, findsAsCache(t, s, grouped))
			require.NoError(t, storeBoth(s))
			require.True(t, findsAsCache(t, s, grouped))
			require.NoError(t, s.Purges().PurgeAll(ctx))
			require.NoError(t, s.Close())
			s = openScanned(t, dir, nil)
			require.False(t, findsAsCache(t, s, grouped), "and its successor is a good one")
		})
	}
}

// A torn record takes with it nothing that came before.
func TestTornJournal(t *testing.T) {
	dir := t.TempDir()
	s := openScanned(t, dir, nil)
	require.NoError(t, storeBoth(s))
	require.NoError(t, s.Purges().PurgeGroups(ctx, ofOrigin))
	require.NoError(t, s.Close())
	path := filepath.Join(dir, journalName)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(b, b[len(b)-journalRecordSize:len(b)-1]...), 0o600))
	s = openScanned(t, dir, nil)
	require.False(t, findsAsCache(t, s, grouped))
	require.True(t, findsAsCache(t, s, ungrouped))
}

// The journal is as long as what it has to say, or not much longer.
func TestJournalIsCompacted(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of syncs")
	}
	dir := t.TempDir()
	s := openScanned(t, dir, nil)
	require.NoError(t, storeBoth(s))
	require.NoError(t, s.Purges().PurgeGroups(ctx, ofOrigin))
	other := cirque.GroupHash("https://example.com", "other")
	groups := make([]cirque.HashBinary, 100) // of one name
	for i := range groups {
		groups[i] = other
	}
	largest := int64(0)
	for range 50 {
		require.NoError(t, s.Purges().PurgeGroups(ctx, groups...))
		info, err := os.Stat(filepath.Join(dir, journalName))
		require.NoError(t, err)
		largest = max(largest, info.Size())
	}
	require.Less(t, largest, journalSize(2*journalSlack))
	require.NoError(t, s.Close())
	s = openScanned(t, dir, nil)
	require.False(t, findsAsCache(t, s, grouped))
	require.True(t, findsAsCache(t, s, ungrouped))
}

// A purge that the disk did not take is an error, counts all the same until the process ends, and
// is kept once the disk is well again.
func TestPurgeThatTheDiskDoesNotTake(t *testing.T) {
	dir := t.TempDir()
	health := make(chan error, 10)
	s := openScanned(t, dir, &Config{OnHealth: func(err error) { health <- err }})
	require.NoError(t, storeBoth(s))
	s.journal.mu.Lock()
	require.NoError(t, s.journal.file.Close()) // which nothing can be written to
	s.journal.mu.Unlock()
	require.ErrorIs(t, s.Purges().PurgeGroups(ctx, ofOrigin), os.ErrClosed)
	require.False(t, findsAsCache(t, s, grouped))
	require.True(t, findsAsCache(t, s, ungrouped))
	require.Error(t, <-health)
	require.NoError(t, <-health)
	require.NoError(t, s.Close())
	s = openScanned(t, dir, nil)
	require.False(t, findsAsCache(t, s, grouped))
	require.True(t, findsAsCache(t, s, ungrouped))
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Purges().PurgeAll(ctx), ErrClosed)
}

// A disk that hangs with one purge holds up neither those that come after it nor their callers:
// they count in this process, and are kept when the disk is back.
func TestPurgesWhileTheDiskHangs(t *testing.T) {
	dir := t.TempDir()
	s := openScanned(t, dir, &Config{SlowAfter: 100 * time.Millisecond})
	require.NoError(t, storeBoth(s))
	s.journal.mu.Lock() // as one that hangs has it
	answers := sync.OnceFunc(s.journal.mu.Unlock)
	t.Cleanup(answers)
	other := cirque.GroupHash("https://example.com", "other")
	for _, group := range []cirque.HashBinary{other, other, ofOrigin} {
		done := make(chan error, 1)
		go func() { done <- s.Purges().PurgeGroups(ctx, group) }()
		select {
		case err := <-done:
			require.ErrorIs(t, err, errSlow)
		case <-time.After(10 * time.Second):
			t.Fatal("a purge hangs")
		}
	}
	require.False(t, findsAsCache(t, s, grouped))
	eventually(t, "the gate opens", func() bool { return s.Err() == nil })
	answers()
	eventually(t, "the disk is back", func() bool { return s.updates.busy.Load() == 0 })
	require.NoError(t, s.Purges().PurgeGroups(ctx, cirque.GroupHash("https://example.com", "last")))
	require.NoError(t, s.Close())
	s = openScanned(t, dir, nil)
	require.False(t, findsAsCache(t, s, grouped))
	require.True(t, findsAsCache(t, s, ungrouped))
}

// The journal of a directory that has taken the place of the store's is not written over: its
// purges go on to count.
func TestCompactionSparesTheJournalOfAnotherDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	s := openScanned(t, dir, nil)
	other := openScanned(t, dir+".other", nil)
	require.NoError(t, storeBoth(other))
	require.NoError(t, other.Purges().PurgeGroups(ctx, ofOrigin))
	require.NoError(t, other.Close())
	name := cirque.GroupHash("https://example.com", "name")
	groups := make([]cirque.HashBinary, 100)
	for i := range groups {
		groups[i] = name
	}
	for s.journal.records <= journalSlack+2*3 { // the next one is a compaction
		require.NoError(t, s.Purges().PurgeGroups(ctx, groups...))
	}
	require.NoError(t, os.Rename(dir, dir+".away"))
	require.NoError(t, os.Rename(dir+".other", dir))
	require.Error(t, s.Purges().PurgeGroups(ctx, name))
	eventually(t, "the directory is adopted", func() bool { return s.Err() == nil })
	require.False(t, findsAsCache(t, s, grouped))
	require.True(t, findsAsCache(t, s, ungrouped))
}

// What stands in the way of the journal, or of its successor, gives way.
func TestMisplacedJournal(t *testing.T) {
	for _, suffix := range []string{"", ".tmp"} {
		t.Run(journalName+suffix, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.MkdirAll(filepath.Join(dir, journalName+suffix, "a"), 0o700))
			s := openScanned(t, dir, nil)
			require.NoError(t, storeBoth(s))
			require.NoError(t, s.Purges().PurgeGroups(ctx, ofOrigin))
			require.NoError(t, s.Close())
			s = openScanned(t, dir, nil)
			require.False(t, findsAsCache(t, s, grouped))
			require.True(t, findsAsCache(t, s, ungrouped))
		})
	}
}

// A directory without a journal that takes the place of the store's has nothing that counts.
func TestReattachedDirectoryWithoutJournal(t *testing.T) {
	dir := t.TempDir()
	s := openScanned(t, dir, nil)
	require.NoError(t, storeBoth(s))
	require.NoError(t, os.Remove(filepath.Join(dir, journalName)))
	require.NoError(t, s.journal.reattached())
	require.False(t, findsAsCache(t, s, grouped))
	require.False(t, findsAsCache(t, s, ungrouped))
	require.NoError(t, storeBoth(s))
	require.NoError(t, s.journal.reattached())
	require.True(t, findsAsCache(t, s, grouped))
}

func FuzzJournal(f *testing.F) {
	b, _ := appendEvent([]byte(journalMagic), cirque.PurgeEvent{Epoch: 7, Scope: cirque.PurgeScopeAll})
	b, _ = appendEvent(b, cirque.PurgeEvent{Epoch: 8, Scope: cirque.PurgeScopeGroups, Groups: []cirque.HashBinary{ofOrigin, {1}}})
	f.Add(b)
	f.Add([]byte(strings.Repeat(journalMagic, 9)))
	f.Fuzz(func(t *testing.T, b []byte) {
		events, err := parseJournal(b)
		if err != nil {
			require.Empty(t, events)
			return
		}
		again := []byte(journalMagic)
		for _, e := range events {
			again, _ = appendEvent(again, e)
		}
		same, err := parseJournal(again)
		require.NoError(t, err)
		require.Equal(t, events, same)
	})
}
