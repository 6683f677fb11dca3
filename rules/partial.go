package rules

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/field"
)

// ByteRange is the bytes of a representation from Start up to, but not including, End.
type ByteRange struct{ Start, End int64 }

// Len returns the number of bytes.
func (r ByteRange) Len() int64 { return r.End - r.Start }

// touches reports whether r and o overlap or are adjacent.
func (r ByteRange) touches(o ByteRange) bool { return r.Start <= o.End && o.Start <= r.End }

// RangeVerdict says what to do about a Range field.
type RangeVerdict uint8

const (
	// RangeNone: ignore the field and serve the whole representation.
	RangeNone RangeVerdict = iota
	// RangeSatisfiable: serve the ranges with a 206.
	RangeSatisfiable
	// RangeUnsatisfiable: answer 416 (RFC 9110 §15.5.17).
	RangeUnsatisfiable
)

// maxRanges is the largest number of ranges in one request. A request for more gets the whole
// representation (RFC 9110 §14.2).
const maxRanges = 16

// ParseRange reads the value of a GET's Range field for a representation of size bytes
// (RFC 9110 §14.2). The ranges lie within the representation and keep the client's order. Ranges
// that overlap or are adjacent become one (§15.3.7.2). The field is ignored if it is invalid, has
// another unit than bytes, or has more than 16 ranges. It is also ignored if size is not positive.
func ParseRange(value string, size int64) ([]ByteRange, RangeVerdict) {
	set, ok := cutBytesUnit(value, "=")
	if !ok || size <= 0 {
		return nil, RangeNone
	}
	var ranges []ByteRange
	count := 0
	for spec := range field.Tokens([]string{set}) {
		if count++; count > maxRanges {
			return nil, RangeNone
		}
		r, ok := parseRangeSpec(spec, size)
		if !ok {
			// RFC 9110 §14.1.1: one invalid range makes the whole field invalid.
			return nil, RangeNone
		}
		if r.Len() > 0 {
			ranges = coalesce(ranges, r)
		}
	}
	switch {
	case count == 0:
		return nil, RangeNone
	case len(ranges) == 0:
		return nil, RangeUnsatisfiable
	}
	return ranges, RangeSatisfiable
}

// cutBytesUnit returns the text after the unit and the separator. ok is false if the unit is not
// bytes. Without a separator the text is empty. Units match in any case (RFC 9110 §14.1).
func cutBytesUnit(s, separator string) (string, bool) {
	unit, rest, _ := strings.Cut(field.TrimOWS(s), separator)
	return rest, strings.EqualFold(unit, "bytes")
}

// parseRangeSpec reads an int-range or a suffix-range (RFC 9110 §14.1.2). For an unsatisfiable one
// r is empty.
func parseRangeSpec(spec string, size int64) (r ByteRange, ok bool) {
	first, last, ok := strings.Cut(spec, "-")
	if !ok {
		return r, false
	}
	if first == "" {
		suffix, ok := parseOffset(last)
		return ByteRange{max(0, size-suffix), size}, ok
	}
	start, ok := parseOffset(first)
	if !ok {
		return r, false
	}
	end := size
	if last != "" {
		n, ok := parseOffset(last)
		if !ok || n < start {
			return r, false
		}
		if n < size {
			end = n + 1
		}
	}
	return ByteRange{min(start, end), end}, true
}

// parseOffset reads a number of bytes. A number too large for int64 becomes the largest int64,
// which is beyond every representation (RFC 9110 §14.1.2).
func parseOffset(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MaxInt64, true
	}
	return n, true
}

// coalesce adds r to ranges, which do not touch each other. r replaces all ranges that it touches,
// in the place of the first, or else goes to the end.
func coalesce(ranges []ByteRange, r ByteRange) []ByteRange {
	at := slices.IndexFunc(ranges, r.touches)
	if at < 0 {
		return append(ranges, r)
	}
	for i := at; i >= 0; i = slices.IndexFunc(ranges, r.touches) {
		r = ByteRange{min(r.Start, ranges[i].Start), max(r.End, ranges[i].End)}
		ranges = slices.Delete(ranges, i, i+1)
	}
	return slices.Insert(ranges, at, r)
}

// ContentRange returns the value of Content-Range for a part of a representation (RFC 9110 §14.4).
// A negative size means unknown.
func ContentRange(r ByteRange, size int64) string {
	complete := "*"
	if size >= 0 {
		complete = strconv.FormatInt(size, 10)
	}
	return "bytes " + strconv.FormatInt(r.Start, 10) + "-" + strconv.FormatInt(r.End-1, 10) + "/" + complete
}

// RangeField returns the value of a Range field that requests r (RFC 9110 §14.2).
func RangeField(r ByteRange) string {
	return "bytes=" + strconv.FormatInt(r.Start, 10) + "-" + strconv.FormatInt(r.End-1, 10)
}

// UnsatisfiedRange returns the value of Content-Range for a 416 (RFC 9110 §14.4).
func UnsatisfiedRange(size int64) string { return "bytes */" + strconv.FormatInt(size, 10) }

// ParseContentRange reads the value of a 206's Content-Range. size is -1 if the complete length is
// unknown. ok is false if the value is invalid, has another unit than bytes, or is that of a 416.
func ParseContentRange(v string) (r ByteRange, size int64, ok bool) {
	rest, ok := cutBytesUnit(v, " ")
	// A missing part is empty, which is not a number.
	positions, complete, _ := strings.Cut(rest, "/")
	first, last, _ := strings.Cut(positions, "-")
	start, ok1 := parseOffset(first)
	end, ok2 := parseOffset(last)
	if !ok || !ok1 || !ok2 || end < start || end == math.MaxInt64 {
		return ByteRange{}, 0, false
	}
	if complete == "*" {
		return ByteRange{start, end + 1}, -1, true
	}
	size, _ = parseOffset(complete) // zero if it is not a number
	if size <= end {
		return ByteRange{}, 0, false
	}
	return ByteRange{start, end + 1}, size, true
}

// IfRangeHolds reports whether a request with header h wants its Range applied to the stored
// response (RFC 9110 §13.1.5): If-Range is absent, or its validator is strong and exactly that of
// the response.
func IfRangeHolds(h http.Header, meta *cirque.CacheMeta) bool {
	lines := h["If-Range"]
	if len(lines) == 0 {
		return true
	}
	if len(lines) > 1 {
		return false
	}
	stored := meta.Header()
	if strings.Contains(lines[0], `"`) { // a date has no quotes
		return !meta.Has(cirque.MetaDecoded) && StrongMatch(lines[0], stored.Get("Etag"))
	}
	return strongDate(stored, meta.Updated()) && field.SameDate(lines[0], stored.Get("Last-Modified"), meta.Updated())
}

// strongDate reports whether the Last-Modified of a response is a strong validator: its Date must
// be at least a second later (RFC 9110 §8.8.2.2).
func strongDate(h interface{ Get(name string) string }, now time.Time) bool {
	modified, ok1 := field.ParseDate(h.Get("Last-Modified"), now)
	date, ok2 := field.ParseDate(h.Get("Date"), now)
	return ok1 && ok2 && date.Sub(modified) >= time.Second
}
