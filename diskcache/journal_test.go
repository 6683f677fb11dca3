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

// crashPurge is set for a child process that stores two entries, purges one or both of them,
// reports that, and waits to be killed. Its value is a key of purgesOf.
const crashPurge = "CIRQUE_CRASH_PURGE"

var (
	grouped   = testKey("grouped")
	ungrouped = testKey("ungrouped")
	ofOrigin  = cirque.GroupHash("https://example.com", "g")
)

// purgesOf are purges that must survive a restart. ungroupedStays says whether the entry that is
// not in the group survives the purge.
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

// storeAsCache stores an entry that was fetched now, by way of an HttpCache.
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

// findsAsCache reports whether an HttpCache finds the entry.
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

// A purge that has returned holds after a restart, whether the store was closed or its process was
// killed. Entries that are stored after the purge survive the next restart.
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

// If the journal is damaged, nobody knows what was purged: no older entry is found any more. An
// unfinished record at its end, left by a crash, is no damage.
func TestDamagedJournalVoidsEverything(t *testing.T) {
	for name, test := range map[string]struct {
		change func(b []byte) []byte
		keeps  bool
	}{
		"whole":                            {func(b []byte) []byte { return b }, true},
		"half a record appended":           {func(b []byte) []byte { return append(b, make([]byte, 20)...) }, true},
		"zeros appended":                   {func(b []byte) []byte { return append(b, make([]byte, 4096)...) }, true},
		"half a record and zeros appended": {func(b []byte) []byte { return append(append(b, b[16:30]...), make([]byte, 4096)...) }, true},
		"missing":                          {func([]byte) []byte { return nil }, false},
		"empty":                            {func([]byte) []byte { return []byte{} }, false},
		"magic only":                       {func(b []byte) []byte { return b[:16] }, false},
		"another magic":                    {func(b []byte) []byte { b[3]++; return b }, false},
		"bit of the first record flipped":  {func(b []byte) []byte { b[25] ^= 1; return b }, false},
		"bit of the last record flipped":   {func(b []byte) []byte { b[len(b)-20] ^= 1; return b }, false},
		"bit of the last checksum flipped": {func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, false},
		"too large":                        {func(b []byte) []byte { return append(b, make([]byte, maxJournal)...) }, false},
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
			require.False(t, findsAsCache(t, s, grouped), "the new journal lost a purge")
		})
	}
}

// A torn record at the end of the journal does not void the records before it.
func TestTornRecordKeepsTheOthers(t *testing.T) {
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

// The journal drops obsolete records, so it stays short.
func TestJournalIsCompacted(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of syncs")
	}
	dir := t.TempDir()
	s := openScanned(t, dir, nil)
	require.NoError(t, storeBoth(s))
	require.NoError(t, s.Purges().PurgeGroups(ctx, ofOrigin))
	other := cirque.GroupHash("https://example.com", "other")
	groups := make([]cirque.HashBinary, 100) // all the same
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

// A purge that cannot be written is an error. It counts all the same until the process ends, and is
// written when the disk works again.
func TestPurgeThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	health := make(chan error, 10)
	s := openScanned(t, dir, &Config{OnHealth: func(err error) { health <- err }})
	require.NoError(t, storeBoth(s))
	s.journal.mu.Lock()
	require.NoError(t, s.journal.file.Close()) // so that writes to it fail
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

// If the disk hangs during one purge, later purges return. They count in this process, and are
// written when the disk answers again.
func TestPurgesWhileTheDiskHangs(t *testing.T) {
	dir := t.TempDir()
	s := openScanned(t, dir, &Config{SlowAfter: 100 * time.Millisecond})
	require.NoError(t, storeBoth(s))
	s.journal.mu.Lock() // as during a write that hangs
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
	eventually(t, "the gate stays shut", func() bool { return s.Err() == nil })
	answers()
	eventually(t, "the hung operations do not end", func() bool { return s.updates.busy.Load() == 0 })
	eventually(t, "no purge is written", func() bool { // a busy disk can be slow once more
		return s.Purges().PurgeGroups(ctx, cirque.GroupHash("https://example.com", "last")) == nil
	})
	require.NoError(t, s.Close())
	s = openScanned(t, dir, nil)
	require.False(t, findsAsCache(t, s, grouped))
	require.True(t, findsAsCache(t, s, ungrouped))
}

// If another directory has taken the place of the store's own, its journal is not overwritten: its
// purges still count.
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
	for s.journal.records <= journalSlack+2*3 { // so that the next purge rewrites the journal
		require.NoError(t, s.Purges().PurgeGroups(ctx, groups...))
	}
	require.NoError(t, os.Rename(dir, dir+".away"))
	require.NoError(t, os.Rename(dir+".other", dir))
	require.Error(t, s.Purges().PurgeGroups(ctx, name))
	eventually(t, "the store does not take over the directory", func() bool { return s.Err() == nil })
	eventually(t, "the scan does not find the entry", func() bool { return findsAsCache(t, s, ungrouped) })
	require.False(t, findsAsCache(t, s, grouped))
}

// Whatever is in the place of the journal, or of its temporary file, is replaced.
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

// If a directory without a journal takes the place of the store's own, all its entries are void.
func TestReattachedDirectoryWithoutJournalIsVoid(t *testing.T) {
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
