package main

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"io"
)

// period is the length of the unit that a body repeats. It is odd, so that boundaries of buffers
// fall on different places of the unit.
const period = 1021

// unit returns the bytes that the body of a representation repeats: a line that names the
// representation, then noise.
func unit(path, representation string) []byte {
	b := make([]byte, 0, period+8)
	b = fmt.Appendf(b, "\n%s version %s ", path, representation)
	h := fnv.New64a()
	h.Write(b)
	for state := h.Sum64() | 1; len(b) < period; {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		for shift := 0; shift < 64; shift += 8 {
			b = append(b, 'a'+byte(state>>shift)%26)
		}
	}
	return b[:period]
}

// rotated returns the unit of the rest of a body from byte `from` on.
func rotated(unit []byte, from int64) string {
	at := int(from % period)
	return string(unit[at:]) + string(unit[:at])
}

// verify reads body and checks that it has the bytes [from, to) of a body that repeats unit. wrong
// describes the first difference; err is the error of the reader.
func verify(body io.Reader, unit []byte, from, to int64) (read int64, wrong string, err error) {
	var buf [16 << 10]byte
	at := from
	for {
		n, err := body.Read(buf[:])
		for p := buf[:n]; len(p) > 0 && wrong == ""; {
			want := unit[at%period:]
			want = want[:min(len(want), len(p))]
			switch {
			case at >= to:
				wrong = fmt.Sprintf("%d bytes, want %d", at-from+int64(len(p)), to-from)
			case !bytes.Equal(p[:len(want)], want):
				wrong = fmt.Sprintf("from byte %d on: %.80q, want %.80q", at, p, want)
			}
			at += int64(len(want))
			p = p[len(want):]
		}
		read += int64(n)
		switch {
		case wrong != "":
			return read, wrong, nil
		case err == io.EOF && read != to-from:
			return read, fmt.Sprintf("a clean end after %d of %d bytes", read, to-from), nil
		case err == io.EOF:
			return read, "", nil
		case err != nil:
			return read, "", err
		}
	}
}
