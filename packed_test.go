package cirque

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNumbersHaveAtMostTenBytes(t *testing.T) {
	n, rest, ok := checkedUvarint(string(binary.AppendUvarint(nil, math.MaxUint64)) + "rest")
	require.True(t, ok)
	require.Equal(t, uint64(math.MaxUint64), n)
	require.Equal(t, "rest", rest)

	_, _, ok = checkedUvarint(strings.Repeat("\x80", 10) + "\x00")
	require.False(t, ok)
}
