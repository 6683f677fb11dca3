package cachecontrol

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/pquerna/cachecontrol/cacheobject"
)

// maxDelta stands for every greater number of seconds (RFC 9111 §1.2.2).
const maxDelta = (1 << 31) * time.Second

// Delta is a delta-seconds argument (RFC 9111 §1.2.2).
type Delta struct {
	// Duration is a whole number of seconds, unless [Options].FractionalSeconds is set. A number
	// above 2^31 becomes 2^31 seconds. Duration is zero if Valid is false.
	Duration time.Duration
	// Present reports that the directive was there, readable or not.
	Present bool
	// Valid reports that the argument was a number. A directive that is present but not valid means
	// zero seconds: caches are encouraged to treat invalid freshness information as stale
	// (§4.2.1).
	Valid bool
}

// set keeps the first of several values (RFC 9111 §4.2.1).
func (d *Delta) set(v time.Duration) {
	if !d.Present {
		*d = Delta{Duration: min(v, maxDelta), Present: true, Valid: true}
	}
}

// refuse records a directive whose argument cannot be read or trusted. It keeps a value that was
// set before.
func (d *Delta) refuse() {
	d.Present = true
}

// setTyped takes v, which cacheobject read from the argument arg. It is -1 if the directive was
// another one.
func (d *Delta) setTyped(v cacheobject.DeltaSeconds, arg string) {
	switch {
	case v < 0:
	case v < math.MaxInt32 || strings.TrimLeft(arg, "0") == "2147483647":
		d.set(time.Duration(v) * time.Second)
	case isDigits(arg):
		d.set(maxDelta)
	default:
		// cacheobject does not read past the digit that makes the number too large.
		d.refuse()
	}
}

// setFraction takes arg if it is a decimal number such as 1.5, and reports whether it is.
func (d *Delta) setFraction(arg string) bool {
	whole, fraction, _ := strings.Cut(arg, ".")
	if !isDigits(whole) || !isDigits(fraction) {
		return false
	}
	v, err := time.ParseDuration(arg + "s")
	if err != nil {
		v = maxDelta // overflow is the only error left
	}
	d.set(v)
	return true
}

func isDigits(s string) bool {
	return s != "" && strings.TrimLeft(s, "0123456789") == ""
}

// appendDelta writes the directive if it is present. An argument that could not be read is written
// as 0, which is what it means.
func appendDelta(b []byte, name string, d Delta) []byte {
	if !d.Present {
		return b
	}
	b = append(appendSeparator(b), name...)
	b = append(b, '=')
	v := max(d.Duration, 0)
	b = strconv.AppendInt(b, int64(v/time.Second), 10)
	if v %= time.Second; v != 0 {
		// The added billion keeps the leading zeros.
		digits := strconv.FormatInt(int64(v+time.Second), 10)
		b = append(b, '.')
		b = append(b, strings.TrimRight(digits[1:], "0")...)
	}
	return b
}

// appendFlag writes the directive if on.
func appendFlag(b []byte, name string, on bool) []byte {
	if !on {
		return b
	}
	return append(appendSeparator(b), name...)
}

func appendSeparator(b []byte) []byte {
	if len(b) == 0 {
		return b
	}
	return append(b, ", "...)
}
