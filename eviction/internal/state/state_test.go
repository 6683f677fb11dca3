package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/eviction/internal/table"
)

var records = []Record{
	{Key: table.Key{1, 2, 0, 0}, Weight: 1},
	{Key: table.Key{0, 0, 0, 1}, Weight: math.MaxInt64, FreshUntil: math.MaxUint32, Cost: 1.5, Uses: 255, Private: math.MaxUint64, Rank: 7},
	{Key: table.Key{3, 4, 5, 6}, UserTag: "ann", Weight: 300, Rank: 8},
	{Key: table.Key{9, 9, 0, 0}, Weight: 2, Rank: math.MaxUint64},
}

// save writes records to a part in dir and returns its temporary name.
func save(t *testing.T, dir string, h Header, records ...Record) string {
	t.Helper()
	w, err := Create(dir)
	require.NoError(t, err)
	require.NoError(t, w.Begin(h))
	for _, r := range records {
		require.NoError(t, w.Write(r))
	}
	file, err := w.Close()
	require.NoError(t, err)
	return file
}

func readAll(t *testing.T, dir string) (got []Record, err error) {
	t.Helper()
	m, err := OpenAll(dir)
	require.NoError(t, err)
	defer m.Close()
	for {
		r, policy, err := m.Next()
		if err == io.EOF {
			return got, m.Err()
		}
		require.NoError(t, err)
		require.Equal(t, "fifo", policy)
		got = append(got, r)
	}
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	h := Header{Policy: "fifo", Parts: 2}
	require.NoError(t, Install(dir, []string{
		save(t, dir, h, records[0], records[2], records[3]),
		save(t, dir, h, records[1]),
	}))
	got, err := readAll(t, dir)
	require.NoError(t, err)
	require.Equal(t, []Record{records[0], records[1], records[2], records[3]}, got, "merged by rank")

	info, err := os.Stat(filepath.Join(dir, Name(0)))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
}

func TestRanksNeverFall(t *testing.T) {
	dir := t.TempDir()
	low := records[0]
	low.Rank = 3
	require.NoError(t, Install(dir, []string{save(t, dir, Header{"fifo", 1}, records[1], low)}))
	got, err := readAll(t, dir)
	require.NoError(t, err)
	require.EqualValues(t, 7, got[1].Rank)
}

func TestInstallReplacesAnEarlierState(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for i := range 3 {
		files = append(files, save(t, dir, Header{"fifo", 3}, Record{Key: table.Key{uint64(i)}, Weight: 1}))
	}
	require.NoError(t, Install(dir, files))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "00007.txt"), nil, 0o600))
	w, err := Create(dir)
	require.NoError(t, err)
	defer w.Discard()

	require.NoError(t, Install(dir, []string{save(t, dir, Header{"fifo", 1}, records[0])}))
	require.NoError(t, RemoveTemporary(dir))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "one part, and a file that is not a part")
	got, err := readAll(t, dir)
	require.NoError(t, err)
	require.Equal(t, records[:1], got)
}

func TestDamage(t *testing.T) {
	good := func(t *testing.T) (dir string, part []byte) {
		dir = t.TempDir()
		require.NoError(t, Install(dir, []string{
			save(t, dir, Header{"fifo", 2}, records...),
			save(t, dir, Header{"fifo", 2}, Record{Key: table.Key{42}, Weight: 1}),
		}))
		part, err := os.ReadFile(filepath.Join(dir, Name(0)))
		require.NoError(t, err)
		return dir, part
	}
	resum := func(b []byte) []byte {
		return binary.LittleEndian.AppendUint64(b, xxhash.Sum64(b))
	}
	for name, damage := range map[string]func(part []byte) []byte{
		"a bit":         func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
		"the checksum":  func(b []byte) []byte { b[len(b)-1]++; return b },
		"cut":           func(b []byte) []byte { return b[:len(b)-10] },
		"empty":         func([]byte) []byte { return nil },
		"not a part":    func(b []byte) []byte { return resum([]byte("this is not a part of anything")) },
		"no end":        func(b []byte) []byte { return resum(b[:len(b)-sumSize-1]) },
		"unknown flags": func(b []byte) []byte { b[len(b)-sumSize-1] = 0xff; return resum(b[:len(b)-sumSize]) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, part := good(t)
			require.NoError(t, os.WriteFile(filepath.Join(dir, Name(0)), damage(part), 0o600))
			got, err := readAll(t, dir)
			require.ErrorIs(t, err, ErrDamaged)
			require.ErrorContains(t, err, Name(0))
			require.NotContains(t, err.Error(), Name(1))
			require.Contains(t, got, Record{Key: table.Key{42}, Weight: 1}, "the other part is read")
		})
	}
	t.Run("missing", func(t *testing.T) {
		dir, _ := good(t)
		require.NoError(t, os.Remove(filepath.Join(dir, Name(0))))
		got, err := readAll(t, dir)
		require.ErrorIs(t, err, ErrDamaged)
		require.ErrorContains(t, err, "missing")
		require.NotErrorIs(t, err, fs.ErrNotExist, "that would mean that nothing was saved")
		require.Len(t, got, 1)
	})
	t.Run("a directory", func(t *testing.T) {
		dir, _ := good(t)
		require.NoError(t, os.Remove(filepath.Join(dir, Name(0))))
		require.NoError(t, os.Mkdir(filepath.Join(dir, Name(0)), 0o700))
		_, err := readAll(t, dir)
		require.ErrorIs(t, err, ErrDamaged)
	})
	t.Run("a later version", func(t *testing.T) {
		dir, part := good(t)
		part[len(magic)]++
		require.NoError(t, os.WriteFile(filepath.Join(dir, Name(0)), resum(part[:len(part)-sumSize]), 0o600))
		_, err := readAll(t, dir)
		require.ErrorContains(t, err, "version 2")
	})
}

func TestNothingSaved(t *testing.T) {
	dir := t.TempDir()
	_, err := OpenAll(dir)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = OpenAll(filepath.Join(dir, "missing"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// FuzzPart reads arbitrary bytes with a correct checksum. What can be read can be written, and
// reads back the same.
func FuzzPart(f *testing.F) {
	part := append([]byte(magic), version)
	part = append(part, 4, 'f', 'i', 'f', 'o', 1)
	f.Add(append(part, 0))
	var rank uint64
	for _, r := range records {
		part = r.appendTo(part, rank)
		rank = r.Rank
	}
	f.Add(append(part, 0))
	f.Add(part)
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decode(b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !strings.Contains(err.Error(), "version") {
				t.Fatalf("an error that does not say what is wrong: %v", err)
			}
			return
		}
		again := append([]byte(magic), version, 0, 1)
		var rank uint64
		for _, r := range got {
			if r.Weight <= 0 || r.Rank < rank || !(r.Cost >= 0) {
				t.Fatalf("an impossible record: %+v", r)
			}
			again = r.appendTo(again, rank)
			rank = r.Rank
		}
		back, err := decode(append(again, 0))
		require.NoError(t, err)
		require.Equal(t, got, back)
	})
}

func decode(b []byte) (records []Record, err error) {
	b = binary.LittleEndian.AppendUint64(bytes.Clone(b), xxhash.Sum64(b))
	r, err := newReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return records, nil
		}
		if err != nil {
			return nil, err
		}
		records = append(records, rec)
	}
}
