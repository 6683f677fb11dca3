package rules

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// See RFC 9110 §12.5.5.
func TestVaryFields(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		want  []string
		star  bool
	}{
		"none":            {nil, nil, false},
		"empty":           {[]string{"Vary:"}, nil, false},
		"canonical":       {[]string{"Vary: accept-ENCODING"}, []string{"Accept-Encoding"}, false},
		"sorted, unique":  {[]string{"Vary: b,a , B"}, []string{"A", "B"}, false},
		"over lines":      {[]string{"Vary: b", "Vary: ,, a"}, []string{"A", "B"}, false},
		"star":            {[]string{"Vary: *"}, nil, true},
		"star behind":     {[]string{"Vary: a, *"}, []string{"A"}, true},
		"star in line 2":  {[]string{"Vary: a", "Vary: *"}, []string{"A"}, true},
		"no quoting here": {[]string{`Vary: "a, *"`}, []string{`"a`, `*"`}, false},
	} {
		fields, star := VaryFields(lines(c.lines...))
		require.Equal(t, c.want, fields, name)
		require.Equal(t, c.star, star, name)
	}
}

// Each lookup has to go through all fields that a stored response varies on, so they are bounded.
func TestVaryOnTooManyFieldsMatchesNothing(t *testing.T) {
	var names []string
	for n := range 64 {
		names = append(names, fmt.Sprint("X-", n))
	}
	fields, star := VaryFields(http.Header{"Vary": {strings.Join(names, ","), "x-1, X-2"}})
	require.Len(t, fields, 64)
	require.False(t, star)
	_, star = VaryFields(http.Header{"Vary": {strings.Join(names, ","), "x-64"}})
	require.True(t, star)
}
