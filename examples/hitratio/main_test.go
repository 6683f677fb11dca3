package main

import (
	"bytes"
	"compress/gzip"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
)

// write makes a file with the given content and returns its name.
func write(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	return file
}

func zipped(t *testing.T, content string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, content)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.String()
}

// With ten bytes and any policy that evicts the oldest entry, three of the seven requests hit: a,
// a, and the last b.
const sample = "a,4\nb,4\na,4\na,4\nc,4\nb,4\nhuge,100\n"

func TestRunPrintsALinePerPolicyAndCapacity(t *testing.T) {
	for _, file := range []string{write(t, "t.csv", sample), write(t, "t.csv.gz", zipped(t, sample))} {
		var out, errs bytes.Buffer
		require.NoError(t, run([]string{"-trace", file, "-policy", "fifo,simple-lru", "-capacity", "10,50%"}, &out, &errs))
		require.Empty(t, errs.String(), "no progress bar without a terminal")
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		require.Len(t, lines, 4)
		fields := strings.Split(lines[0], "\t")
		require.Len(t, fields, 7)
		require.Equal(t, []string{"fifo", "10", "7", "42.86", "9.68", "1"}, fields[:6])
		_, err := strconv.ParseFloat(fields[6], 64)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(lines[3], "simple-lru\t50%\t7\t42.86\t9.68\t0\t"), "56 bytes hold all entries but the huge one: %s", lines[3])
	}
}

func TestPolicyNames(t *testing.T) {
	names, err := parsePolicies("all")
	require.NoError(t, err)
	require.Equal(t, eviction.Names(), names)
	names, err = parsePolicies("default, lru")
	require.NoError(t, err)
	require.Equal(t, []string{eviction.Default, "lru"}, names)
}

func TestCapacities(t *testing.T) {
	cs, err := parseCapacities("0.1%, 1.5KiB,2MB,7,100B")
	require.NoError(t, err)
	var limits []int64
	for _, c := range cs {
		limits = append(limits, c.of(&trace{distinctBytes: 5000}))
	}
	require.Equal(t, []int64{5, 1536, 2_000_000, 7, 100}, limits)
}

func TestBadInput(t *testing.T) {
	good := write(t, "good.csv", sample)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"-trace", "/does/not/exist"}, "no such file"},
		{[]string{"-trace", write(t, "empty.csv", "")}, "no requests"},
		{[]string{"-trace", write(t, "a.csv", "a,4\nb\n")}, `a.csv:2: "b" is not "key,size"`},
		{[]string{"-trace", write(t, "b.csv", ",4\n")}, `b.csv:1: ",4"`},
		{[]string{"-trace", write(t, "c.csv", "a,four\n")}, `c.csv:1: "four" is not a size`},
		{[]string{"-trace", write(t, "d.csv", "a,-4\n")}, "d.csv:1: a size must be between"},
		{[]string{"-trace", write(t, "e.csv", "a,9223372036854775807\n")}, "e.csv:1: a size must be between"},
		{[]string{"-trace", write(t, "f.csv", strings.Repeat("x", 1<<20))}, "f.csv:1: bufio.Scanner: token too long"},
		{[]string{"-trace", write(t, "g.csv.gz", zipped(t, strings.Repeat(sample, 100))[:30])}, "unexpected EOF"},
		{[]string{"-trace", write(t, "h.csv.gz", "\x1f\x8bnot really")}, "gzip"},
		{[]string{"-trace", good, "-policy", "mru"}, `no policy "mru"`},
		{[]string{"-trace", good, "-policy", ""}, `no policy ""`},
		{[]string{"-trace", good, "-capacity", "0%"}, `"0%"`},
		{[]string{"-trace", good, "-capacity", "NaN%"}, `"NaN%"`},
		{[]string{"-trace", good, "-capacity", "many"}, `"many"`},
		{[]string{"-trace", good, "-capacity", "-1"}, `"-1"`},
		{[]string{"-trace", good, "-capacity", "1e300TiB"}, `"1e300TiB"`},
		{[]string{"-trace", good, "-capacity", "0.001%"}, "less than one byte"},
		{[]string{"-trace", good, "-capacity", "10", "-plot", filepath.Join(t.TempDir(), "no", "such.svg")}, "no such"},
		{[]string{"-trace", good, "more"}, `"more"`},
	} {
		require.ErrorContains(t, run(c.args, io.Discard, io.Discard), c.says, "%v", c.args)
	}
	require.ErrorIs(t, run([]string{"-nonsense"}, io.Discard, io.Discard), errUsage)
	require.ErrorIs(t, run([]string{"-h"}, io.Discard, io.Discard), flag.ErrHelp)
	full := errors.New("full")
	require.ErrorIs(t, run([]string{"-trace", good, "-capacity", "10"}, failing{full}, io.Discard), full)
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestReplayCatchesCheats replays against managers that each break the contract in one way.
func TestReplayCatchesCheats(t *testing.T) {
	tr, err := readTrace(strings.NewReader(strings.Repeat("a,4\nb,4\na,4\nc,4\nd,4\n", 3)), "trace")
	require.NoError(t, err)
	const limit = 10
	honest, err := eviction.New("lru", limit)
	require.NoError(t, err)
	_, err = replay(tr, honest, limit, false, func(int) {})
	require.NoError(t, err)
	for says, cheat := range map[string]func(m *cheater){
		"bytes are resident; the capacity is 10": func(m *cheater) { m.hideEvicted = true },
		"the manager counts":                     func(m *cheater) { m.extraWeight = 1 },
		"Access does not know it":                func(m *cheater) { m.forget = true },
		"evicted a key that was not resident":    func(m *cheater) { m.invent = keyOf(1) },
		"request 1: the manager evicted a key":   func(m *cheater) { m.invent = keyOf(99) },
	} {
		m, err := eviction.New("lru", limit)
		require.NoError(t, err)
		c := &cheater{EvictionManager: m}
		cheat(c)
		_, err = replay(tr, c, limit, false, func(int) {})
		require.ErrorContains(t, err, says)
	}
}

type cheater struct {
	cirque.EvictionManager
	hideEvicted, forget bool
	extraWeight         int64
	invent              cirque.CompactCacheKey
}

func (c *cheater) Admit(key cirque.CompactCacheKey, weight int64, freshUntil time.Time, cost time.Duration) []cirque.CompactCacheKey {
	evicted := c.EvictionManager.Admit(key, weight, freshUntil, cost)
	if c.hideEvicted {
		return nil
	}
	if c.invent != (cirque.CompactCacheKey{}) {
		evicted = append(evicted, c.invent)
	}
	return evicted
}

func (c *cheater) TotalWeight() int64 { return c.EvictionManager.TotalWeight() + c.extraWeight }

func (c *cheater) Access(key cirque.CompactCacheKey, weight int64, freshUntil time.Time) bool {
	return c.EvictionManager.Access(key, weight, freshUntil) && !c.forget
}

// TestReplayEveryPolicy replays a Zipf trace with both ways of making room. The replay itself
// checks what is resident.
func TestReplayEveryPolicy(t *testing.T) {
	tr := zipfTrace(5_000, 1000)
	require.Equal(t, tr, zipfTrace(5_000, 1000), "the same every time")
	require.Len(t, tr.requests, 5_000)
	for _, name := range eviction.Names() {
		for _, evictFirst := range []bool{false, true} {
			limit := tr.distinctBytes / 20
			m, err := eviction.New(name, limit)
			require.NoError(t, err)
			steps := 0
			r, err := replay(tr, m, limit, evictFirst, func(n int) { steps += n })
			require.NoError(t, err)
			require.Equal(t, 5_000, steps)
			require.EqualValues(t, 5_000, r.requests)
			require.Greater(t, r.objectPercent(), 20.0)
			require.Less(t, r.objectPercent(), 100.0)
		}
	}
}

func TestAChangedSizeIsAMiss(t *testing.T) {
	tr, err := readTrace(strings.NewReader("a,4\na,5\na,5\n\xffa,3\r\nzero,0\n"), "trace")
	require.NoError(t, err)
	require.EqualValues(t, 9, tr.distinctBytes, "the latest size of each key; at least one byte")
	m, err := eviction.New("lru", 100)
	require.NoError(t, err)
	r, err := replay(tr, m, 100, false, func(int) {})
	require.NoError(t, err)
	require.EqualValues(t, 1, r.hits)
	require.EqualValues(t, 5, r.hitBytes)
}

func TestPlotIsWellFormed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p.svg")
	require.NoError(t, run([]string{"-trace", write(t, "t.csv", sample), "-policy", "all", "-capacity", "5,50%,1KiB", "-plot", file}, io.Discard, io.Discard))
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	curves, texts := 0, []string{}
	for d := xml.NewDecoder(bytes.NewReader(b)); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local == "polyline" {
				curves++
			}
		case xml.CharData:
			texts = append(texts, string(token))
		}
	}
	require.Equal(t, 2*len(eviction.Names()), curves)
	for _, want := range append(eviction.Names(), "5", "50%", "1KiB", "Capacity") {
		require.Contains(t, texts, want)
	}
	require.NotContains(t, string(b), "NaN")
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	bar := &progress{w: &out, total: 10}
	bar.add(5)
	require.Contains(t, out.String(), strings.Repeat("█", 20)+strings.Repeat("░", 20)+"  50.0%")
	bar.add(5)
	require.Contains(t, out.String(), strings.Repeat("█", 40)+" 100.0%")
	require.Nil(t, newProgress(&out, 10), "not a terminal")
	(*progress)(nil).add(1)
	(*progress)(nil).clear()
}
