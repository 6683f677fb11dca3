package cirque

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// RFC 9110 §12.4.2.
func TestParsePreferences(t *testing.T) {
	for line, want := range map[string]preferences{
		"":                               {},
		" , ":                            {},
		"b, A;q=0.5":                     {{"a", 500}, {"b", 1000}},
		"a;q=0":                          {{"a", 0}},
		"a;q=0.":                         {{"a", 0}},
		"a;q=0.001":                      {{"a", 1}},
		"a;q=1.000":                      {{"a", 1000}},
		"a ; Q=0.25":                     {{"a", 250}},
		"*;q=0.1, a":                     {{"*", 100}, {"a", 1000}},
		"a;q=0.5, a;q=0.50, A ; q=0.500": {{"a", 500}},
	} {
		list, ok := parsePreferences(preferences{}, []string{line}, nil)
		require.True(t, ok, line)
		require.Equal(t, want, list, line)
	}
	for _, line := range []string{
		"a;q=2", "a;q=1.001", "a;q=0.0001", "a;q=", "a;q", "a;", "a;q=-1", "a;q=.5", "a;q=0.x", "a;q=1.x", "a;q=0,5;q", "a;q=x", "a;q=00.5", "a;level=1",
		"a;level=1;q=0.5", "a;q=0.5;x=1", "a b", ";q=1", `"a"`, "a/b", "a, a;q=0.5", "a;q =1",
	} {
		_, ok := parsePreferences(preferences{}, []string{line}, nil)
		require.False(t, ok, line)
	}
	list, ok := parsePreferences(nil, nil, nil)
	require.True(t, ok)
	require.Empty(t, list)
}

func TestPreferencesString(t *testing.T) {
	for line, want := range map[string]string{
		"B;q=1, a;q=0.5, c;q=0, d;q=0.025": "a;q=0.500,b,c;q=0.000,d;q=0.025",
		"":                                 "",
	} {
		list, ok := parsePreferences(preferences{}, []string{line}, nil)
		require.True(t, ok)
		require.Equal(t, want, list.String())
	}
}
