package cirque

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// variance hashes pairs written "name=value", or "name" for a missing field.
func variance(t testing.TB, pairs ...string) HashBinary {
	t.Helper()
	b := new(VarianceBuilder)
	for _, p := range pairs {
		if name, value, ok := strings.Cut(p, "="); ok {
			b.AddNameValue(name, value)
		} else {
			b.addNameMissing(p)
		}
	}
	h, ok := b.Finalize()
	require.Equal(t, len(pairs) > 0, ok)
	require.Equal(t, len(pairs) > 0, b.HasVariance())
	require.Equal(t, !ok, h.IsZero())
	return h
}

func TestNoPairsHaveNoVariance(t *testing.T) {
	variance(t)
	h, ok := new(VarianceBuilder).Finalize()
	require.False(t, ok)
	require.Zero(t, h)
}

func TestVarianceIsASet(t *testing.T) {
	want := variance(t, "accept-encoding=gzip", "accept-language=de", "cookie")
	for name, pairs := range map[string][]string{
		"other order":  {"cookie", "accept-language=de", "accept-encoding=gzip"},
		"other case":   {"Accept-Encoding=gzip", "ACCEPT-LANGUAGE=de", "Cookie"},
		"a repetition": {"Accept-Encoding=gzip", "accept-encoding=gzip", "accept-language=de", "cookie", "Cookie"},
	} {
		require.Equal(t, want, variance(t, pairs...), name)
	}
}

func TestDifferentSetsHaveDifferentVariances(t *testing.T) {
	seen := map[HashBinary]string{}
	for _, set := range []string{
		"a", "a=", "a=b", "a=B", "ab=", "a= b", "b=a", "a=1;b=2", "a=1b=2", "a=2;b=1", "a=1;b", "a;b=1", "a;b", "a=;b=",
		"ab=1", "a=b1", "a=\x00", "a\x00=", "=a", "=", "a=1;a=2", "a=12", "a=1;a", "é=1", "É=1",
		"a=" + strings.Repeat("x", 127), "a=" + strings.Repeat("x", 128), "a=" + strings.Repeat("x", 5000),
	} {
		h := variance(t, strings.Split(set, ";")...)
		require.NotContains(t, seen, h, "%q and %q share a variance", set, seen[h])
		seen[h] = set
	}
}

func TestVarianceOfManyPairs(t *testing.T) {
	var pairs []string
	hashes := map[HashBinary]int{}
	for i := range 40 {
		pairs = append(pairs, fmt.Sprintf("X-%d=v", i))
		h := variance(t, pairs...)
		require.NotContains(t, hashes, h)
		hashes[h] = i
		shuffled := slices.Clone(pairs)
		rand.Shuffle(len(shuffled), func(a, b int) { shuffled[a], shuffled[b] = shuffled[b], shuffled[a] })
		require.Equal(t, h, variance(t, shuffled...), "%d pairs in another order", len(pairs))
	}
}

func TestVarianceGrowsAfterFinalize(t *testing.T) {
	b := new(VarianceBuilder)
	for i := range 20 {
		b.AddNameValue(fmt.Sprint(20-i), "v")
		got, _ := b.Finalize()
		again, _ := b.Finalize()
		require.Equal(t, got, again)
	}
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprintf("%d=v", i+1))
	}
	got, _ := b.Finalize()
	require.Equal(t, variance(t, want...), got)
}

// Two lists of pairs have the same hash if and only if they are the same set.
func FuzzVariance(f *testing.F) {
	f.Add("a", "1", "b", "2", "b", "2", "A", "1")
	f.Add("a", "", "", "a", "", "", "a", "a")
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2, n3, v3, n4, v4 string) {
		build := func(nv ...string) (HashBinary, map[string]bool) {
			b, set := new(VarianceBuilder), map[string]bool{}
			for i := 0; i < len(nv); i += 2 {
				name := strings.Map(func(r rune) rune {
					if 'A' <= r && r <= 'Z' {
						return r + 'a' - 'A'
					}
					return r
				}, strings.ToValidUTF8(nv[i], "?"))
				if nv[i+1] == "missing" {
					b.addNameMissing(strings.ToValidUTF8(nv[i], "?"))
					set[fmt.Sprintf("%q", name)] = true
					continue
				}
				b.AddNameValue(strings.ToValidUTF8(nv[i], "?"), nv[i+1])
				set[fmt.Sprintf("%q=%q", name, nv[i+1])] = true
			}
			h, _ := b.Finalize()
			return h, set
		}
		h1, set1 := build(n1, v1, n2, v2)
		h2, set2 := build(n3, v3, n4, v4)
		require.Equal(t, maps.Equal(set1, set2), h1 == h2)
	})
}

func TestVarianceDoesNotAllocate(t *testing.T) {
	require.Zero(t, testing.AllocsPerRun(100, func() {
		b := new(VarianceBuilder)
		b.AddNameValue("Accept-Encoding", "gzip, deflate, br")
		b.AddNameValue("Accept-Language", "de-CH, fr;q=0.9")
		b.addNameMissing("Cookie")
		if _, ok := b.Finalize(); !ok {
			panic("no variance")
		}
	}))
}

func BenchmarkVariance(b *testing.B) {
	for _, n := range []int{1, 3, 8, 16} {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("X-Dimension-%d", (i*7)%n)
		}
		b.Run(fmt.Sprintf("pairs=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v := new(VarianceBuilder)
				for _, name := range names {
					v.AddNameValue(name, "gzip, deflate, br")
				}
				if _, ok := v.Finalize(); !ok {
					b.Fatal("no variance")
				}
			}
		})
	}
}
