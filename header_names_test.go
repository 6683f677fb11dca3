package cirque

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/internal/field"
)

func TestKnownNamesAreCanonicalAndTakeTwoBytes(t *testing.T) {
	require.LessOrEqual(t, len(knownNames), 256)
	require.Len(t, nameNumbers, len(knownNames), "a name is in the list twice")
	h := make(http.Header)
	for _, name := range knownNames[1:] {
		require.Equal(t, http.CanonicalHeaderKey(name), name)
		require.True(t, field.ValidName(name))
		h.Add(name, "1")
		h.Add(name, "2")
	}
	section := packHeader(h)
	require.Equal(t, h, section.Header())
	require.NoError(t, section.check())
	require.Equal(t, "1", section.Get("Etag"))
	require.Less(t, section.Size(), 8*len(h)+5, "each field has two lines, each with two bytes for the name and two for the value")
}

// A newer version must be able to read what an older one wrote. So the names of the first version
// keep their numbers.
func TestKnownNamesKeepTheirNumbers(t *testing.T) {
	const first = 68
	require.Equal(t, uint64(0x2aa8f919a30e3b58), xxhash.Sum64String(strings.Join(knownNames[:first], "\n")))
}
