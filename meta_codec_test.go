package cirque

import (
	"encoding"
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/internal/field"
)

var (
	_ encoding.BinaryAppender    = (*CacheMeta)(nil)
	_ encoding.BinaryUnmarshaler = (*CacheMeta)(nil)
)

func fullMeta() *CacheMeta {
	m := NewCacheMeta(599, lines("A: 1", "A: 2", "Set-Cookie: x"), testNow, testNow.Add(time.Hour), time.Second, 2*time.Second)
	m.SetFlags(MetaNoStale | MetaHeuristic | 1<<31)
	m.updated = testNow.Add(5).UnixNano()
	m.SetEpochOverride(testNow.Add(-time.Hour))
	m.SetVariance(HashBinary{1, 2, 3})
	m.SetExtension("a", "\x00")
	m.SetExtension("b", "2")
	return m
}

func encoded(t testing.TB, m *CacheMeta) []byte {
	t.Helper()
	data, err := m.AppendBinary(nil)
	require.NoError(t, err)
	return data
}

// resealed returns changed bytes with a correct checksum.
func resealed(data []byte) []byte {
	binary.LittleEndian.PutUint64(data[2:], xxhash.Sum64(data[metaPrefix:]))
	return data
}

func TestMetaRoundTrip(t *testing.T) {
	extreme := NewCacheMeta(65535, nil, time.Unix(0, math.MinInt64), time.Unix(0, math.MaxInt64), math.MaxInt64, math.MaxInt64)
	for _, m := range []*CacheMeta{{}, fullMeta(), NewCacheMeta(200, nil, testNow, testNow, 0, 0), extreme, newVaryMeta(record(3), testNow)} {
		data := encoded(t, m)
		require.Equal(t, m.MetaSize(), len(data))

		got := fullMeta() // nothing of what was there may remain
		require.NoError(t, got.UnmarshalBinary(data))
		require.Equal(t, m, got)
		for i := range data {
			data[i] = 0xff
		}
		require.Equal(t, m, got, "the meta keeps nothing of data")

		got = fullMeta()
		got.UnmarshalTrusted(string(encoded(t, m)))
		require.Equal(t, m, got)
	}
}

func TestMetaAppendBinaryAppends(t *testing.T) {
	m := fullMeta()
	data, err := m.AppendBinary([]byte("before"))
	require.NoError(t, err)
	require.Equal(t, "before", string(data[:6]))
	require.Equal(t, encoded(t, m), data[6:])
}

func TestMetaRefusesDamage(t *testing.T) {
	good := encoded(t, fullMeta())
	kept := fullMeta()
	for i := range good {
		for _, bit := range []byte{1, 0x80} {
			bad := append([]byte(nil), good...)
			bad[i] ^= bit
			require.ErrorIs(t, kept.UnmarshalBinary(bad), ErrBadMeta, "bit in byte %d", i)
		}
		require.ErrorIs(t, kept.UnmarshalBinary(good[:i]), ErrBadMeta, "cut at %d", i)
	}
	require.ErrorIs(t, kept.UnmarshalBinary(append(good, 0)), ErrBadMeta)
	require.ErrorIs(t, kept.UnmarshalBinary(nil), ErrBadMeta)
	require.Equal(t, fullMeta(), kept, "an error leaves the meta as it was")
}

// Whoever can change stored metas can also make correct checksums.
func TestMetaRefusesTamperedRecords(t *testing.T) {
	section := func(id byte, content string) []byte {
		return resealed(appendSection(encoded(t, new(CacheMeta)), id, content))
	}
	line := func(name, value string) string { return "\x01" + string(appendString(appendString(nil, name), value)) }
	var m CacheMeta
	require.NoError(t, m.UnmarshalBinary(section(sectionHeader, line("A", "1"))))
	require.Equal(t, "1", m.Header().Get("A"))
	for name, data := range map[string][]byte{
		"response splitting":       section(sectionHeader, line("A", "1\r\nSet-Cookie: b=c")),
		"LF":                       section(sectionHeader, line("A", "1\n")),
		"a name that is no token":  section(sectionHeader, line("A\r\nB", "1")),
		"a damaged header":         section(sectionHeader, "\x05"),
		"a name without extension": section(sectionExtensions, "\x01a"),
		"a cut extension":          section(sectionExtensions, "\x01a\x05b"),
		"an endless id":            resealed(append(encoded(t, new(CacheMeta)), 0xff, 0xff)),
		"an endless length":        resealed(append(encoded(t, new(CacheMeta)), 9, 0xff)),
		"half a variance":          section(sectionVariance, "12345678"),
		"a length too large":       resealed(append(encoded(t, new(CacheMeta)), 9, 5, 1)),
	} {
		require.ErrorIs(t, m.UnmarshalBinary(data), ErrBadMeta, name)
	}
	require.Equal(t, "1", m.Header().Get("A"))
}

func TestMetaVersions(t *testing.T) {
	var m CacheMeta
	next := encoded(t, fullMeta())
	next[1] = metaVersion + 1
	require.ErrorIs(t, m.UnmarshalBinary(next), ErrBadMeta)

	short := encoded(t, fullMeta())
	short[metaPrefix]--
	require.ErrorIs(t, m.UnmarshalBinary(resealed(short)), ErrBadMeta)
	long := encoded(t, new(CacheMeta))
	long[metaPrefix]++
	require.ErrorIs(t, m.UnmarshalBinary(resealed(long)), ErrBadMeta)
}

func TestMetaSkipsUnknownFieldsAndSections(t *testing.T) {
	data := encoded(t, fullMeta())
	// Fields of a later version after the fixed part, and sections of a later version.
	var later []byte
	later = append(later, data[:metaFixedAt+fixedV1]...)
	later = append(later, "new fixed fields"...)
	later[metaPrefix] += byte(len("new fixed fields"))
	later = appendSection(later, 77, "a new section")
	later = append(later, data[metaFixedAt+fixedV1:]...)
	later = binary.AppendUvarint(later, 1<<40)
	later = appendString(later, "")
	var m CacheMeta
	require.NoError(t, m.UnmarshalBinary(resealed(later)))
	require.Equal(t, fullMeta(), &m)
}

func FuzzCacheMeta(f *testing.F) {
	f.Add(encoded(f, fullMeta()))
	f.Add(encoded(f, newVaryMeta(record(2), testNow)))
	f.Add([]byte{metaMagic, metaVersion})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, data := range [][]byte{data, sealed(t, data)} {
			var m CacheMeta
			if err := m.UnmarshalBinary(data); err != nil {
				require.ErrorIs(t, err, ErrBadMeta)
				require.Equal(t, CacheMeta{}, m)
				continue
			}
			for name, value := range m.Header().All() {
				require.True(t, field.ValidName(name) && field.ValidValue(value), "%q: %q", name, value)
			}
			for range m.allExtensions() { // must not panic
			}
			var again CacheMeta
			require.NoError(t, again.UnmarshalBinary(encoded(t, &m)))
			require.Equal(t, m, again)
		}
	})
}

// sealed returns a meta with these bytes and a correct checksum.
func sealed(t testing.TB, data []byte) []byte {
	envelope := encoded(t, new(CacheMeta))
	n := copy(envelope[metaFixedAt:], data)
	return resealed(append(envelope, data[n:]...))
}

func BenchmarkCacheMeta(b *testing.B) {
	m := NewCacheMeta(200, lines("Cache-Control: public, max-age=60", "Content-Type: text/html", `ETag: "abc"`, "Date: "+at(0),
		"Vary: Accept-Encoding", "Content-Length: 1000"), testNow, testNow.Add(time.Hour), 0, 0)
	data := encoded(b, m)
	text := string(data)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			data, _ = m.AppendBinary(data[:0])
		}
	})
	b.Run("unmarshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := m.UnmarshalBinary(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("trusted", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.UnmarshalTrusted(text)
		}
	})
}
