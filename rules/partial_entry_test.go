package rules

import (
	"math"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// holding returns a Partial of 100 bytes that holds these ranges.
func holding(held ...ByteRange) *Partial { return &Partial{Size: 100, Intervals: held} }

func TestPartialCoversAndMissing(t *testing.T) {
	p := holding(ByteRange{10, 20}, ByteRange{30, 40}, ByteRange{90, 100})
	for r, missing := range map[ByteRange]ranges{
		{10, 20}:  nil,
		{12, 13}:  nil,
		{90, 100}: nil,
		{0, 5}:    {{0, 5}},
		{0, 11}:   {{0, 10}},
		{9, 20}:   {{9, 10}},
		{10, 21}:  {{20, 21}},
		{15, 35}:  {{20, 30}},
		{20, 30}:  {{20, 30}},
		{0, 100}:  {{0, 10}, {20, 30}, {40, 90}},
		{40, 90}:  {{40, 90}},
	} {
		require.Equal(t, missing == nil, p.Covers(r), "%v", r)
		require.Equal(t, missing, p.Missing(r), "%v", r)
	}
	require.Equal(t, ranges{{0, 100}}, holding().Missing(ByteRange{0, 100}))
	require.False(t, p.Complete())
	require.True(t, holding(ByteRange{0, 100}).Complete())
	require.False(t, holding(ByteRange{1, 100}).Complete())
}

func TestPartialOffset(t *testing.T) {
	p := holding(ByteRange{10, 20}, ByteRange{30, 40}, ByteRange{90, 100})
	for r, want := range map[ByteRange]int64{{10, 20}: 0, {13, 14}: 3, {30, 31}: 10, {35, 40}: 15, {99, 100}: 29} {
		offset, ok := p.Offset(r)
		require.True(t, ok)
		require.Equal(t, want, offset, "%v", r)
	}
	_, ok := p.Offset(ByteRange{19, 31})
	require.False(t, ok)
}

func TestPartialAdd(t *testing.T) {
	for name, c := range map[string]struct {
		held *Partial
		add  ByteRange
		want ranges
	}{
		"first":         {holding(), ByteRange{5, 6}, ranges{{5, 6}}},
		"before":        {holding(ByteRange{10, 20}), ByteRange{5, 6}, ranges{{5, 6}, {10, 20}}},
		"behind":        {holding(ByteRange{10, 20}), ByteRange{25, 26}, ranges{{10, 20}, {25, 26}}},
		"between":       {holding(ByteRange{10, 20}, ByteRange{30, 40}), ByteRange{25, 26}, ranges{{10, 20}, {25, 26}, {30, 40}}},
		"adjacent":      {holding(ByteRange{10, 20}), ByteRange{20, 30}, ranges{{10, 30}}},
		"adjacent too":  {holding(ByteRange{10, 20}), ByteRange{5, 10}, ranges{{5, 20}}},
		"closing a gap": {holding(ByteRange{10, 20}, ByteRange{30, 40}), ByteRange{20, 30}, ranges{{10, 40}}},
		"overlapping":   {holding(ByteRange{10, 20}, ByteRange{30, 40}, ByteRange{50, 60}), ByteRange{15, 35}, ranges{{10, 40}, {50, 60}}},
		"within":        {holding(ByteRange{10, 20}), ByteRange{12, 13}, ranges{{10, 20}}},
		"around":        {holding(ByteRange{10, 20}, ByteRange{30, 40}), ByteRange{0, 100}, ranges{{0, 100}}},
	} {
		before := slices.Clone(c.held.Intervals)
		with, ok := c.held.Add(c.add)
		require.True(t, ok, name)
		require.Equal(t, c.want, with.Intervals, name)
		require.Equal(t, int64(100), with.Size)
		require.Equal(t, before, c.held.Intervals, "%s: a shared Partial never changes", name)
	}
	for _, r := range []ByteRange{{-1, 5}, {5, 5}, {6, 5}, {99, 101}} {
		p := holding(ByteRange{10, 20})
		with, ok := p.Add(r)
		require.False(t, ok, "%v", r)
		require.Same(t, p, with)
	}
}

func TestPartialHoldsAtMostMaxIntervals(t *testing.T) {
	p := &Partial{Size: 1000}
	for i := range int64(MaxIntervals) {
		with, ok := p.Add(ByteRange{2 * i, 2*i + 1})
		require.True(t, ok)
		p = with
	}
	_, ok := p.Add(ByteRange{999, 1000})
	require.False(t, ok)
	with, ok := p.Add(ByteRange{1, 2})
	require.True(t, ok, "a range that closes a gap")
	require.Len(t, with.Intervals, MaxIntervals-1)
	decoded, err := DecodePartial(p.Encode())
	require.NoError(t, err)
	require.Equal(t, p, decoded)
	p.Intervals = append(p.Intervals, ByteRange{999, 1000})
	_, err = DecodePartial(p.Encode())
	require.ErrorIs(t, err, cirque.ErrBadMeta)
}

func TestPartialRoundTrip(t *testing.T) {
	for _, p := range []*Partial{
		{}, holding(), holding(ByteRange{0, 100}), holding(ByteRange{0, 1}, ByteRange{2, 3}, ByteRange{99, 100}),
		{Size: math.MaxInt64, Intervals: ranges{{0, 1}, {math.MaxInt64 - 1, math.MaxInt64}}},
	} {
		got, err := DecodePartial(p.Encode())
		require.NoError(t, err)
		require.Equal(t, p, got)
	}
}

func TestDecodePartialRejectsDamage(t *testing.T) {
	for name, p := range map[string]*Partial{
		"beyond the end": {Size: 5, Intervals: ranges{{0, 6}}},
		"second beyond":  {Size: 10, Intervals: ranges{{0, 4}, {6, 12}}},
		"second behind":  {Size: 10, Intervals: ranges{{0, 6}, {13, 14}}},
		"starts beyond":  {Size: 5, Intervals: ranges{{6, 7}}},
		"empty":          {Size: 5, Intervals: ranges{{1, 1}}},
		"adjacent":       {Size: 5, Intervals: ranges{{0, 1}, {1, 2}}},
		"overlapping":    {Size: 5, Intervals: ranges{{0, 3}, {1, 2}}},
		"backwards":      {Size: 5, Intervals: ranges{{3, 4}, {1, 2}}},
		"negative":       {Size: -5},
	} {
		_, err := DecodePartial(p.Encode())
		require.ErrorIs(t, err, cirque.ErrBadMeta, name)
	}
	for _, s := range []string{"", "\x01", "\x02\x05", "\x01\x05\x01", "\x01\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\xff\x01"} {
		_, err := DecodePartial(s)
		require.ErrorIs(t, err, cirque.ErrBadMeta, "%q", s)
	}
}

func FuzzDecodePartial(f *testing.F) {
	f.Add(holding().Encode(), int64(0), int64(5))
	f.Add(holding(ByteRange{10, 20}, ByteRange{30, 40}).Encode(), int64(15), int64(35))
	f.Add((&Partial{Size: math.MaxInt64, Intervals: ranges{{0, math.MaxInt64}}}).Encode(), int64(math.MaxInt64-1), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, s string, start, end int64) {
		p, err := DecodePartial(s)
		if err != nil {
			require.ErrorIs(t, err, cirque.ErrBadMeta)
			require.Nil(t, p)
			return
		}
		again, err := DecodePartial(p.Encode())
		require.NoError(t, err)
		require.Equal(t, p, again)
		at := int64(-1)
		for _, held := range p.Intervals {
			require.True(t, at < held.Start && held.Start < held.End && held.End <= p.Size, "%v", p)
			at = held.End
		}

		r := ByteRange{start, end}
		with, ok := p.Add(r)
		if !ok {
			return
		}
		require.True(t, with.Covers(r))
		require.Empty(t, with.Missing(r))
		for _, missing := range p.Missing(r) {
			require.False(t, p.Covers(missing))
			require.True(t, r.Start <= missing.Start && missing.Start < missing.End && missing.End <= r.End)
		}
		for _, held := range p.Intervals {
			require.True(t, with.Covers(held))
		}
	})
}

// part returns the exchange of a range request and a 206.
func part(contentRange string, fields ...string) *Exchange {
	if contentRange != "" {
		fields = append(fields, "Content-Range: "+contentRange)
	}
	return get(fields...).withStatus(http.StatusPartialContent).withRequest("Range: bytes=0-4")
}

// RFC 9111 §3.3.
func TestStorePartial(t *testing.T) {
	meta, r, refusal := shared.StorePartial(part("bytes 10-14/100", "Cache-Control: max-age=60", `ETag: "a"`, "Content-Length: 5", "A: 1"))
	require.Nil(t, refusal)
	require.Equal(t, ByteRange{10, 15}, r)
	require.Equal(t, 200, meta.StatusCode(), "the meta is that of an incomplete 200")
	require.Equal(t, lines("Cache-Control: max-age=60", `ETag: "a"`, "A: 1", "Date: "+at(0)), meta.Header().Header())
	p, ok := PartialOf(meta)
	require.True(t, ok)
	require.Equal(t, holding(ByteRange{10, 15}), p)

	// A part that is the whole representation makes a complete entry.
	meta, r, refusal = shared.StorePartial(part("bytes 0-99/100", "Cache-Control: max-age=60", `ETag: "a"`))
	require.Nil(t, refusal)
	require.Equal(t, ByteRange{0, 100}, r)
	require.False(t, meta.Has(cirque.MetaPartial))
	_, ok = PartialOf(meta)
	require.False(t, ok)
	require.Equal(t, "100", meta.Header().Get("Content-Length"))
}

func TestStorePartialRefuses(t *testing.T) {
	const fresh, tag = "Cache-Control: max-age=60", `ETag: "a"`
	dated := []string{fresh, "Last-Modified: " + at(-time.Second), "Date: " + at(0)}
	unasked := part("bytes 0-4/9", fresh, tag)
	unasked.Request.Header.Del("Range")
	head := part("bytes 0-4/9", fresh, tag)
	head.Request.Method = http.MethodHead
	decoded := part("bytes 0-4/9", fresh, tag)
	decoded.Decoded = true
	for name, c := range map[string]struct {
		x    *Exchange
		want string
	}{
		"a strong tag":        {part("bytes 0-4/9", fresh, tag), ""},
		"a strong date":       {part("bytes 0-4/9", dated...), ""},
		"a weak date":         {part("bytes 0-4/9", fresh, "Last-Modified: "+at(0), "Date: "+at(0)), "no-validator"},
		"a weak tag":          {part("bytes 0-4/9", fresh, `ETag: W/"a"`), "no-validator"},
		"no validator":        {part("bytes 0-4/9", fresh), "no-validator"},
		"decoded":             {decoded, "no-validator"},
		"unknown length":      {part("bytes 0-4/*", fresh, tag), "content-range"},
		"another unit":        {part("items 0-4/9", fresh, tag), "content-range"},
		"invalid":             {part("bytes 4-0/9", fresh, tag), "content-range"},
		"inconsistent length": {part("bytes 0-4/9", fresh, tag, "Content-Length: 6"), "content-range"},
		"no Content-Range":    {part("", fresh, tag), "multipart"},
		"two Content-Ranges":  {part("bytes 0-4/9", fresh, tag, "Content-Range: bytes 0-4/9"), "multipart"},
		"multipart":           {part("bytes 0-4/9", fresh, tag, "Content-Type: Multipart/ByteRanges; boundary=x"), "multipart"},
		"a 200":               {part("bytes 0-4/9", fresh, tag).withStatus(200), "status"},
		"no Range requested":  {unasked, "method"},
		"HEAD":                {head, "method"},
		"no-store":            {part("bytes 0-4/9", fresh+", no-store", tag), "no-store"},
		"a cookie":            {part("bytes 0-4/9", tag, "Set-Cookie: a=b"), "set-cookie"},
	} {
		meta, _, refusal := shared.StorePartial(c.x)
		require.Equal(t, c.want == "", refusal == nil, name)
		require.Equal(t, c.want == "", meta != nil, name)
		if refusal != nil {
			require.Equal(t, c.want, refusal.Detail, name)
		}
	}
}

func TestPartialOfDamagedMeta(t *testing.T) {
	meta, _, _ := shared.StorePartial(part("bytes 0-4/9", `ETag: "a"`))
	meta.SetExtension("cirque.partial", "x")
	_, ok := PartialOf(meta)
	require.False(t, ok)
}

// RFC 9111 §3.4.
func TestCombinable(t *testing.T) {
	dated := []string{"Last-Modified: " + at(-day), "Date: " + at(0)}
	for name, c := range map[string]struct {
		stored, update []string
		want           bool
	}{
		"the same tag":       {[]string{`ETag: "a"`}, []string{`ETag: "a"`}, true},
		"another tag":        {[]string{`ETag: "a"`}, []string{`ETag: "b"`}, false},
		"weak tags":          {[]string{`ETag: W/"a"`}, []string{`ETag: W/"a"`}, false},
		"a tag is missing":   {[]string{`ETag: "a"`, dated[0], dated[1]}, dated, false},
		"a tag is new":       {dated, []string{`ETag: "a"`, dated[0], dated[1]}, false},
		"the same date":      {dated, dated, true},
		"another date":       {dated, []string{"Last-Modified: " + at(-2*day), dated[1]}, false},
		"weak, stored":       {[]string{dated[0], "Date: " + at(-day)}, dated, false},
		"weak, received":     {dated, []string{dated[0], "Date: " + at(-day)}, false},
		"nothing to compare": {nil, nil, false},
	} {
		require.Equal(t, c.want, Combinable(held(200, c.stored...), lines(c.update...)), name)
	}
	decoded := held(200, `ETag: "a"`)
	decoded.SetFlags(cirque.MetaDecoded)
	require.False(t, Combinable(decoded, lines(`ETag: "a"`)))
}

func TestCombinePartial(t *testing.T) {
	const tag = `ETag: "a"`
	first, _, refusal := shared.StorePartial(part("bytes 0-49/100", "Cache-Control: max-age=60", tag, "A: 1", "B: 1"))
	require.Nil(t, refusal)

	x := part("bytes 80-89/100", tag, "A: 2", "Content-Length: 10", "Cache-Control: max-age=5")
	x.ResponseTime, x.RequestTime = testNow.Add(time.Second), testNow.Add(time.Second)
	second, r, refusal := shared.CombinePartial(first, x)
	require.Nil(t, refusal)
	require.Equal(t, ByteRange{80, 90}, r)
	p, ok := PartialOf(second)
	require.True(t, ok)
	require.Equal(t, ranges{{0, 50}, {80, 90}}, p.Intervals)
	require.Equal(t, lines("Cache-Control: max-age=5", tag, "A: 2", "B: 1", "Date: "+at(time.Second)), second.Header().Header(),
		"the new fields, and the stored fields that the 206 lacks")
	require.True(t, second.FreshUntil().Equal(testNow.Add(6*time.Second)))

	third, _, refusal := shared.CombinePartial(second, part("bytes 45-99/100", tag))
	require.Nil(t, refusal)
	require.False(t, third.Has(cirque.MetaPartial))
	_, ok = third.Extension("cirque.partial")
	require.False(t, ok)
	require.Equal(t, "100", third.Header().Get("Content-Length"))

	for name, c := range map[string]struct {
		stored     *cirque.CacheMeta
		x          *Exchange
		want       string
		byResponse bool
	}{
		"another tag":        {first, part("bytes 80-89/100", `ETag: "b"`), "not-combinable", true},
		"another length":     {first, part("bytes 80-89/101", tag), "not-combinable", true},
		"stored is complete": {third, part("bytes 80-89/100", tag), "not-combinable", true},
		"no complete length": {first, part("bytes 80-89/*", tag), "content-range", true},
		"no-store":           {first, part("bytes 80-89/100", tag, "Cache-Control: no-store"), "no-store", true},
		"request no-store":   {first, part("bytes 80-89/100", tag).withRequest("Range: bytes=80-89", "Cache-Control: no-store"), "request-no-store", false},
	} {
		meta, _, refusal := shared.CombinePartial(c.stored, c.x)
		require.Nil(t, meta, name)
		require.Equal(t, c.want, refusal.Detail, name)
		require.Equal(t, c.byResponse, refusal.ByResponse, name)
	}

	scattered := &Partial{Size: 1000}
	for i := range int64(MaxIntervals) {
		scattered, _ = scattered.Add(ByteRange{2 * i, 2*i + 1})
	}
	full := first.Clone()
	setPartial(full, scattered)
	_, _, refusal = shared.CombinePartial(full, part("bytes 500-509/1000", tag))
	require.Equal(t, &Refusal{Reason: cirque.OriginNotCache, Detail: "too-many-ranges"}, refusal)
}

func TestPartBelongsToTheGroupsOfItsResponse(t *testing.T) {
	meta, _, refusal := shared.StorePartial(part("bytes 10-14/100", "Cache-Control: max-age=60", `ETag: "a"`, "Content-Length: 5", `Cache-Groups: "g"`))
	require.Nil(t, refusal)
	purges := new(cirque.PurgeState)
	require.False(t, purges.Voids(meta))
	require.NoError(t, purges.PurgeGroups(t.Context(), "http://example.com", "other"))
	require.False(t, purges.Voids(meta))
	require.NoError(t, purges.PurgeGroups(t.Context(), "http://example.com", "g"))
	require.True(t, purges.Voids(meta))
}
