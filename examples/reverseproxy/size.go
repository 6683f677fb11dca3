package main

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// size is a flag whose value is a number of bytes: "64MiB", "1GB", "4096".
type size int64

// units are in the order in which Set and String try them. "B" and "" come last, because the other
// texts end in them too.
var units = []struct {
	suffix string
	bytes  int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3},
	{"B", 1}, {"", 1},
}

// Set implements flag.Value.
func (s *size) Set(text string) error {
	for _, unit := range units {
		number, ok := strings.CutSuffix(text, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		switch {
		case err != nil && !errors.Is(err, strconv.ErrRange):
			return errors.New("want bytes, or a whole number with a unit: KiB, MiB, GiB, KB, MB, GB")
		case err == nil && n <= 0:
			return errors.New("must be more than zero")
		case err != nil || n > math.MaxInt64/unit.bytes:
			return errors.New("is too large")
		}
		*s = size(n * unit.bytes)
		return nil
	}
	return nil // not reached: every text ends in ""
}

// String implements flag.Value.
func (s *size) String() string {
	for _, unit := range units {
		if n := int64(*s); n >= unit.bytes && n%unit.bytes == 0 {
			return strconv.FormatInt(n/unit.bytes, 10) + unit.suffix
		}
	}
	return "0"
}
