package cirque

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func variant(n int) Variant {
	return Variant{
		Hash: HashBinary{1, byte(n), byte(n >> 8)}, ETag: fmt.Sprintf(`"%d"`, n), LastModified: at(time.Duration(-n) * time.Second),
		Created: time.Unix(0, testNow.UnixNano()+int64(n)),
	}
}

func record(n int) *VaryRecord {
	r := &VaryRecord{epoch: 1<<63 + 5, Fields: []string{"Accept", "Cookie"}}
	for i := range n {
		r.Variants = append(r.Variants, variant(i))
	}
	return r
}

func TestVaryRecordWith(t *testing.T) {
	r := record(3)
	with, dropped := r.with(variant(7))
	require.Nil(t, dropped)
	require.Equal(t, []Variant{variant(0), variant(1), variant(2), variant(7)}, with.Variants)
	require.Equal(t, r.epoch, with.epoch)
	require.Equal(t, r.Fields, with.Fields)

	// A variant that is stored again is the newest, and is in the record once.
	renewed := variant(1)
	renewed.ETag = `"new"`
	with, dropped = r.with(renewed)
	require.Nil(t, dropped)
	require.Equal(t, []Variant{variant(0), variant(2), renewed}, with.Variants)

	require.Equal(t, record(3), r, "a shared record never changes")
}

func TestVaryRecordIsCapped(t *testing.T) {
	r := new(VaryRecord)
	for i := range 3 * maxVariants {
		with, dropped := r.with(variant(i))
		require.Equal(t, i >= maxVariants, dropped != nil)
		if dropped != nil {
			require.Equal(t, variant(i-maxVariants), *dropped, "the oldest goes")
		}
		r = with
	}
	require.Len(t, r.Variants, 64)
	// Replacing a variant drops none.
	_, dropped := r.with(r.Variants[5])
	require.Nil(t, dropped)
}

func TestVaryRecordLookup(t *testing.T) {
	for i := range 3 {
		v, ok := record(3).lookup(variant(i).Hash)
		require.True(t, ok)
		require.Equal(t, variant(i), v)
	}
	v, ok := record(3).lookup(variant(3).Hash)
	require.False(t, ok)
	require.Zero(t, v)
}

func TestVaryRecordRoundTrip(t *testing.T) {
	for _, r := range []*VaryRecord{{}, record(0), record(1), record(maxVariants)} {
		if r.epoch == 0 {
			r = &VaryRecord{Variants: []Variant{{Created: time.Unix(0, -5)}}}
		}
		got, err := decodeVaryRecord(r.encode())
		require.NoError(t, err)
		require.Equal(t, r, got)
	}
}

func TestVaryRecordRefusesDamage(t *testing.T) {
	good := record(3).encode()
	for i := range good {
		_, err := decodeVaryRecord(good[:i])
		require.ErrorIs(t, err, ErrBadMeta, "cut at %d", i)
	}
	_, err := decodeVaryRecord(good + "\x00")
	require.ErrorIs(t, err, ErrBadMeta)
	for _, version := range []string{"\x01", "\x03"} {
		_, err = decodeVaryRecord(version + good[1:])
		require.ErrorIs(t, err, ErrBadMeta)
	}
	_, err = decodeVaryRecord(record(maxVariants + 1).encode())
	require.ErrorIs(t, err, ErrBadMeta)
	// A length that fits no integer, and counts with too few items after them.
	_, err = decodeVaryRecord(good[:9] + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
	require.ErrorIs(t, err, ErrBadMeta)
	_, err = decodeVaryRecord(good[:9] + "\xff\xff\xff\xff\x7f")
	require.ErrorIs(t, err, ErrBadMeta)
}

func TestVaryMetaHoldsTheRecord(t *testing.T) {
	m := newVaryMeta(record(3), testNow)
	require.True(t, m.Has(MetaVaryRecord))
	require.Zero(t, m.StatusCode(), "the entry is not a response")
	require.True(t, m.IsFresh(testNow.Add(20*365*day)), "it must outlive its variants")
	r, ok := m.VaryRecord()
	require.True(t, ok)
	require.Equal(t, record(3), r)

	data, err := m.AppendBinary(nil)
	require.NoError(t, err)
	var decoded CacheMeta
	require.NoError(t, decoded.UnmarshalBinary(data))
	r, ok = decoded.VaryRecord()
	require.True(t, ok)
	require.Equal(t, record(3), r)

	m.SetFlags(0)
	_, ok = m.VaryRecord()
	require.False(t, ok, "a response's meta holds no record")
	m.SetFlags(MetaVaryRecord)
	m.SetExtension("cirque.vary", "x")
	_, ok = m.VaryRecord()
	require.False(t, ok)
	m.SetExtension("cirque.vary", "")
	_, ok = m.VaryRecord()
	require.False(t, ok)
}

func FuzzDecodeVaryRecord(f *testing.F) {
	f.Add(record(0).encode())
	f.Add(record(2).encode())
	f.Add("\x01")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := decodeVaryRecord(s)
		if err != nil {
			require.ErrorIs(t, err, ErrBadMeta)
			require.Nil(t, r)
			return
		}
		require.LessOrEqual(t, len(r.Variants), maxVariants)
		require.LessOrEqual(t, len(r.Fields), len(s))
		again, err := decodeVaryRecord(r.encode())
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}

func TestVarianceOfARecord(t *testing.T) {
	header := lines("Accept: a")
	device := func(b *VarianceBuilder) { b.AddNameValue("device", "phone") }
	var none *VaryRecord
	require.Zero(t, none.Variance(header, nil))
	require.Equal(t, variance(t, "device=phone"), none.Variance(header, device))

	r := &VaryRecord{Fields: []string{"Accept"}, epoch: 7}
	require.Equal(t, varianceOf(t, r.Fields, header, 7), r.Variance(header, nil))
	require.NotEqual(t, r.Variance(header, nil), r.Variance(header, device))
	require.NotEqual(t, r.Variance(header, nil), r.Variance(lines("Accept: b"), nil))
	other := &VaryRecord{Fields: r.Fields, epoch: 8}
	require.NotEqual(t, r.Variance(header, nil), other.Variance(header, nil))
}
