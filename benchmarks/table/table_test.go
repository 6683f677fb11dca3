package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == rigCommand {
		os.Exit(runRig(os.Args[2:]))
	}
	os.Exit(m.Run())
}

func TestTableAndPlot(t *testing.T) {
	if testing.Short() {
		t.Skip("measures everything, if only for a moment")
	}
	dir := t.TempDir()
	document, picture := filepath.Join(dir, "performance.md"), filepath.Join(dir, "plot.svg")
	require.NoError(t, os.WriteFile(document, []byte("before\n"+tableBegins+"old\n"+tableEnds+"after\n"), 0o600))
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-d", "1ms", "-runs", "1", "-entries", "3000", "-write", document, "-plot", picture}, &out))

	lines := strings.Split(out.String(), "\n")
	require.Contains(t, lines[0], "| what |")
	for _, line := range lines[2:] {
		if strings.HasPrefix(line, "|") {
			require.Equal(t, 7, strings.Count(line, "|"), line)
			require.NotRegexp(t, `NaN|Inf|%!`, line)
		}
	}
	for _, row := range []string{"Handler", "Transport", "otter", "example", "misses", "parallel", "memory", "garbage", "coalesced", "revalidation"} {
		require.Contains(t, out.String(), row)
	}
	written, err := os.ReadFile(document)
	require.NoError(t, err)
	require.Equal(t, "before\n"+tableBegins+"\n"+out.String()+"\n"+tableEnds+"after\n", string(written))

	svg, err := os.ReadFile(picture)
	require.NoError(t, err)
	require.Equal(t, 4, bytes.Count(svg, []byte("<polyline")))
	decoder := xml.NewDecoder(bytes.NewReader(svg))
	for err == nil {
		_, err = decoder.Token()
	}
	require.ErrorIs(t, err, io.EOF)
}

func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{
		{"-d", "0s"}, {"-runs", "0"}, {"-entries", "-1"}, {"-rows", "("}, {"-rows", "hit", "-write", "file"}, {"argument"},
	} {
		require.Error(t, run(t.Context(), args, io.Discard), args)
	}
}

func TestSpliceNeedsMarkers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "document.md")
	for _, text := range []string{"", tableBegins, tableEnds, tableEnds + tableBegins} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		require.ErrorContains(t, splice(file, "table"), "lacks", text)
		left, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, text, string(left))
	}
}

func TestSpread(t *testing.T) {
	require.Equal(t, spread{2, 3, 4}, spreadOf([]float64{5, 3, 1, 2, 4}))
	require.Equal(t, spread{1.25, 1.5, 1.75}, spreadOf([]float64{2, 1}))
	require.Equal(t, spread{7, 7, 7}, spreadOf([]float64{7}))

	slow, fast := []sample{{Ops: 1, CPU: 30}, {Ops: 2, CPU: 20}}, []sample{{Ops: 1, CPU: 10}, {Ops: 1, CPU: 10}}
	require.Equal(t, 2.0, ratio(slow, fast, sample.cpu).median)
	require.Equal(t, 10.0, difference(slow, fast, sample.cpu).median)
}

func TestContestTakesTurns(t *testing.T) {
	b := &bench{rounds: 3}
	var order string
	note := func(name string) contender {
		return contender{name, func(time.Duration) (sample, error) {
			order += name
			return sample{Ops: len(order)}, nil
		}}
	}
	samples, err := b.contest(note("a"), note("b"))
	require.NoError(t, err)
	require.Equal(t, "abbaabba", order)
	require.Equal(t, [][]sample{{{Ops: 4}, {Ops: 5}, {Ops: 8}}, {{Ops: 3}, {Ops: 6}, {Ops: 7}}}, samples)

	failure := errors.New("failure")
	_, err = b.contest(contender{"c", func(time.Duration) (sample, error) { return sample{}, failure }})
	require.ErrorIs(t, err, failure)
}

func TestPrinting(t *testing.T) {
	for printed, want := range map[string]string{
		size(512): "512 bytes", size(1 << 10): "1 KiB", size(100 << 10): "100 KiB", size(1<<20 + 1<<19): "1.5 MiB",
		number(999): "999", number(30_000): "30 K", number(1_000_000): "1 M", number(1_500_000): "1.5 M",
		count(9.98): "10 allocs", count(2.4): "2.4 allocs", count(86): "86 allocs", count(0): "0 allocs", count(-5): "-5 allocs",
		rate(spread{median: 81_234}): "81.2 k/s", rate(spread{median: 900}): "900/s",
	} {
		require.Equal(t, want, printed)
	}
}

func TestSequences(t *testing.T) {
	keys := newPaths(1000)
	require.Equal(t, 1000, keys.count())
	require.Equal(t, "/articles/000000042.html", keys.at(42))

	counts := make(map[uint32]int)
	for _, n := range zipf(1000, 1) {
		require.Less(t, n, uint32(1000))
		counts[n]++
	}
	most := 0
	for _, n := range counts {
		most = max(most, n)
	}
	// The favourite's share is one over the thousandth harmonic number.
	require.InEpsilon(t, sequenceLength/7.4855, most, 0.02)
	for _, n := range uniform(10, 1) {
		require.Less(t, n, uint32(10))
	}
}

func TestRigsRefuse(t *testing.T) {
	b := &bench{ctx: t.Context()}
	defer b.cleanUp()
	_, err := b.startRig(setting{}, "nonesuch")
	require.ErrorContains(t, err, "no such rig")
	p, err := b.startRig(setting{}, "hit", bare)
	require.NoError(t, err)
	_, err = p.do("nonesuch", time.Millisecond)
	require.ErrorContains(t, err, "no such operation")
	_, err = p.measure("nonesuch")
	require.ErrorContains(t, err, "no such experiment")
	s, err := p.do(bare, time.Millisecond)
	require.NoError(t, err)
	require.Positive(t, s.Ops)
	require.GreaterOrEqual(t, s.Wall, time.Millisecond)
	require.Positive(t, s.CPU)
}

func TestCheckHit(t *testing.T) {
	require.NoError(t, checkHit(http.Header{"Cache-Status": {"Cirque; hit; ttl=9"}}))
	require.Error(t, checkHit(http.Header{"Cache-Status": {"Cirque; fwd=uri-miss; stored"}}))
	require.Regexp(t, regexp.MustCompile("hit, .*memory"), experimentNames())
}
