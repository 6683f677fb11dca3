package cirque

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func identity(k CacheKey) string { return string(k.AppendIdentity(nil)) }

// Different inputs make different keys, in text and in hash.
func TestKeysAreInjective(t *testing.T) {
	parts := []string{"", "a", "b", "ab", "a\x00b", "\x01", "\x01a", "/a?x=1", "/a%3Fx=1", "/a?x=1&y=2", "/a?y=2&x=1", "/a?x=1;y=2",
		"/a?x=1&x=1", strings.Repeat("a", 127), strings.Repeat("a", 128), strings.Repeat("a", 20_000)}
	variances := []HashBinary{{}, {1}, {0: 1, 15: 1}}
	texts, hashes := map[string]bool{}, map[HashBinary]bool{}
	for _, namespace := range parts {
		for _, primary := range parts {
			base := NewCacheKey(namespace, primary, "")
			require.Equal(t, namespace, base.Namespace())
			require.Equal(t, primary, base.Primary())
			for _, v := range variances {
				k := base.WithVariance(v)
				require.False(t, texts[identity(k)], "%q %q %v", namespace, primary, v)
				require.False(t, hashes[k.Combined()], "%q %q %v", namespace, primary, v)
				texts[identity(k)], hashes[k.Combined()] = true, true
				require.Equal(t, base.PrimaryHash(), k.PrimaryHash(), "all variants share the primary hash")
				require.Equal(t, v, k.Variance())
				require.Equal(t, k.Combined(), k.Compact().Combined())
				require.Equal(t, v.IsZero(), k.Combined() == k.PrimaryHash())
				require.Equal(t, v.IsZero(), k.Compact().IsPrimary())
				require.Equal(t, base, k.WithVariance(HashBinary{}), "a zero variance gives the primary key")
			}
		}
	}
}

func TestKeyHashIsCryptographic(t *testing.T) {
	sum := sha256.Sum256([]byte("\x02ns\x07primary"))
	require.Equal(t, HashBinary(sum[:16]), NewCacheKey("ns", "primary", "").PrimaryHash())
}

func TestNoPrimaryKeyHashesLikeAVariant(t *testing.T) {
	text := "thirty bytes that are two hash"
	joined := "\x00\x1e" + text // its identity
	variant := CompactCacheKey{Primary: HashBinary([]byte(joined[:16])), Variance: HashBinary([]byte(joined[16:]))}
	key := NewCacheKey("", text, "")
	require.Equal(t, joined, identity(key))
	require.NotEqual(t, variant.Combined(), key.Combined())
}

func TestUserTagIsNotPartOfTheIdentity(t *testing.T) {
	a, b := NewCacheKey("n", "p", "alice"), NewCacheKey("n", "p", "bob")
	require.Equal(t, a.Combined(), b.Combined())
	require.Equal(t, identity(a), identity(b))
	require.Equal(t, "alice", a.Compact().UserTag)
	require.NotEqual(t, a.Compact(), b.Compact())
}

func TestPrimaryHashOverride(t *testing.T) {
	k := NewCacheKey("n", "p", "")
	h := HashBinary{7}
	o := k.WithVariance(HashBinary{1}).WithPrimaryHash(h)
	require.Equal(t, h, o.PrimaryHash())
	require.Equal(t, CompactCacheKey{Primary: h, Variance: HashBinary{1}}, o.Compact())
	require.Equal(t, o.Compact().Combined(), o.Combined())
	require.Equal(t, o, k.WithPrimaryHash(h).WithVariance(HashBinary{1}), "in either order")
	require.Equal(t, k, k.WithPrimaryHash(HashBinary{}), "the zero hash is ignored")
}

func TestKeyExtensionsAreNotPartOfTheIdentity(t *testing.T) {
	k := NewCacheKey("n", "p", "")
	a := k.WithExtension("x", "1")
	b := a.WithExtension("x", "2").WithExtension("y", "")
	_, ok := k.Extension("x")
	require.False(t, ok, "a key never changes")
	value, _ := a.Extension("x")
	require.Equal(t, "1", value)
	value, _ = b.Extension("x")
	require.Equal(t, "2", value)
	_, ok = b.Extension("y")
	require.True(t, ok)
	require.Equal(t, k.Combined(), b.Combined())
	require.Equal(t, identity(k), identity(b))
}

func TestZeroKeyNamesNothing(t *testing.T) {
	require.True(t, CacheKey{}.Combined().IsZero())
	require.False(t, NewCacheKey("", "", "").Combined().IsZero())
}

func TestCompactKeyText(t *testing.T) {
	primary, variance := HashBinary{0xab, 15: 1}, HashBinary{15: 2}
	const p, v = "ab000000000000000000000000000001", "00000000000000000000000000000002"
	for want, k := range map[string]CompactCacheKey{
		p:                           {Primary: primary},
		p + "." + v:                 {Primary: primary, Variance: variance},
		p + "@tag":                  {Primary: primary, UserTag: "tag"},
		p + "." + v + "@a@b.c \xff": {Primary: primary, Variance: variance, UserTag: "a@b.c \xff"},
	} {
		require.Equal(t, want, k.String())
		parsed, err := ParseCompactCacheKey(want)
		require.NoError(t, err)
		require.Equal(t, k, parsed)
	}
	require.Equal(t, NewCacheKey("n", "p", "t").Compact().String(), NewCacheKey("n", "p", "t").String())
	for _, s := range []string{
		"", "@", p + "@", p + ".", p + "." + v + "@", p[1:], p + "0", p + "." + v[1:], p + "." + v + "0", "x" + p[1:], p + ".x" + v[1:],
		p + "." + strings.Repeat("0", 32), p + "." + v + "." + v, " " + p, "@" + p,
	} {
		k, err := ParseCompactCacheKey(s)
		require.Error(t, err, s)
		require.Zero(t, k)
	}
}

func TestCompactKeyOrder(t *testing.T) {
	ordered := []CompactCacheKey{
		{}, {UserTag: "a"}, {UserTag: "b"}, {Variance: HashBinary{15: 1}}, {Variance: HashBinary{1}}, {Variance: HashBinary{1}, UserTag: "a"},
		{Primary: HashBinary{15: 1}}, {Primary: HashBinary{1}}, {Primary: HashBinary{1}, Variance: HashBinary{0xff}},
	}
	for i, a := range ordered {
		for j, b := range ordered {
			require.Equal(t, i < j, a.Compare(b) < 0, "%v %v", a, b)
			require.Equal(t, i == j, a.Compare(b) == 0, "%v %v", a, b)
		}
	}
}

func TestHashBinaryText(t *testing.T) {
	h := HashBinary{0: 0x01, 15: 0xef}
	require.Equal(t, "010000000000000000000000000000ef", h.String())
	parsed, err := parseHashBinary(h.String())
	require.NoError(t, err)
	require.Equal(t, h, parsed)
	for _, s := range []string{"", "01", strings.Repeat("0", 31), strings.Repeat("0", 33), strings.Repeat("g", 32)} {
		parsed, err = parseHashBinary(s)
		require.Error(t, err, s)
		require.Zero(t, parsed)
	}
}

func FuzzParseCompactCacheKey(f *testing.F) {
	f.Add(NewCacheKey("n", "p", "t").WithVariance(HashBinary{1}).String())
	f.Add(NewCacheKey("n", "p", "").String())
	f.Add("ab@")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParseCompactCacheKey(s)
		if err != nil {
			require.Zero(t, k)
			return
		}
		again, err := ParseCompactCacheKey(k.String())
		require.NoError(t, err)
		require.Equal(t, k, again)
		require.True(t, strings.EqualFold(s[:32], k.String()[:32]))
	})
}

func FuzzKeyIdentity(f *testing.F) {
	f.Add("", "a", "a", "")
	f.Add("ab", "c", "a", "bc")
	f.Fuzz(func(t *testing.T, namespace1, primary1, namespace2, primary2 string) {
		a, b := NewCacheKey(namespace1, primary1, ""), NewCacheKey(namespace2, primary2, "")
		same := namespace1 == namespace2 && primary1 == primary2
		require.Equal(t, same, identity(a) == identity(b))
		require.Equal(t, same, a.Combined() == b.Combined())
		v := HashBinary{1}
		require.Equal(t, same, identity(a.WithVariance(v)) == identity(b.WithVariance(v)))
		require.NotEqual(t, identity(a.WithVariance(v)), identity(b))
	})
}

func BenchmarkNewCacheKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewCacheKey("", "http\x00example.com\x00/a/rather/long/path/to/some/asset.css?v=12345", "")
	}
}
