package cirque

import "encoding/binary"

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// uvarint and lengthPrefixed read strings that were checked when they entered the process.

func uvarint(s string) (n uint64, rest string) {
	n, rest, _ = checkedUvarint(s)
	return n, rest
}

func lengthPrefixed(s string) (part, rest string) {
	if n := s[0]; n < 0x80 {
		return s[1:][:n], s[1:][n:]
	}
	n, s := uvarint(s)
	return s[:n], s[n:]
}

func checkedString(s string) (part, rest string, ok bool) {
	n, s, ok := checkedUvarint(s)
	if !ok || n > uint64(len(s)) {
		return "", "", false
	}
	return s[:n], s[n:], true
}

func checkedUvarint(s string) (n uint64, rest string, ok bool) {
	var shift uint
	for i := range len(s) {
		c := s[i]
		if i == binary.MaxVarintLen64 {
			return 0, "", false
		}
		if c < 0x80 {
			return n | uint64(c)<<shift, s[i+1:], true
		}
		n |= uint64(c&0x7f) << shift
		shift += 7
	}
	return 0, "", false
}

func uint32At(s string, i int) uint32 {
	_ = s[i+3]
	return uint32(s[i]) | uint32(s[i+1])<<8 | uint32(s[i+2])<<16 | uint32(s[i+3])<<24
}

func uint64At(s string, i int) uint64 {
	return uint64(uint32At(s, i)) | uint64(uint32At(s, i+4))<<32
}

// decoder reads the parts of a packed string. After a failure it returns only empty parts.
type decoder struct {
	rest   string
	failed bool
}

func (d *decoder) bytes(n uint64) string {
	if n > uint64(len(d.rest)) {
		d.rest, d.failed = "", true
		return ""
	}
	part := d.rest[:n]
	d.rest = d.rest[n:]
	return part
}

func (d *decoder) uvarint() uint64 {
	n, rest, ok := checkedUvarint(d.rest)
	d.rest = rest // empty, if there was no number
	if !ok {
		d.failed = true
	}
	return n
}

func (d *decoder) uint64() uint64 {
	if part := d.bytes(8); part != "" {
		return uint64At(part, 0)
	}
	return 0
}

func (d *decoder) string() string { return d.bytes(d.uvarint()) }
