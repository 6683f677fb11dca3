package middleware

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The syntax of weights is that of RFC 9110 §12.4.2.
func TestPreferencesAreParsedStrictly(t *testing.T) {
	for line, want := range map[string]preferences{
		"":                   nil,
		" , ":                nil,
		"b, A;q=0.5":         {{"b", 1000}, {"a", 500}},
		"a;q=0":              {{"a", 0}},
		"a;q=0.":             {{"a", 0}},
		"a;q=0.001":          {{"a", 1}},
		"a;q=1.000":          {{"a", 1000}},
		"a ; Q=0.25":         {{"a", 250}},
		"*;q=0.1, a":         {{"*", 100}, {"a", 1000}},
		"a;q=0.5, A ; q=0.2": {{"a", 500}, {"a", 200}},
	} {
		list, ok := parsePreferences([]string{line})
		require.True(t, ok, line)
		require.Equal(t, want, list, line)
	}
	for _, line := range []string{
		"a;q=2", "a;q=1.001", "a;q=0.0001", "a;q=", "a;q", "a;", "a;q=-1", "a;q=.5", "a;q=0.x", "a;q=1.x", "a;q=0,5;q", "a;q=x", "a;q=00.5", "a;level=1",
		"a;level=1;q=0.5", "a;q=0.5;x=1", "a b", ";q=1", `"a"`, "a;q =1", strings.Repeat("a,", maxPreferences+1),
	} {
		list, ok := parsePreferences([]string{line})
		require.False(t, ok, line)
		require.Empty(t, list)
	}
}
