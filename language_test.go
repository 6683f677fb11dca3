package cirque

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// RFC 9111 §4.1, RFC 9110 §12.5.4.
func TestSelectByLanguage(t *testing.T) {
	for name, c := range map[string]struct {
		accept     []string
		candidates []string
		want       int
	}{
		"the preferred":              {[]string{"fr;q=0.5, de;q=1.0"}, []string{"fr", "de", "en"}, 1},
		"the preferred at q=0.9":     {[]string{"fr;q=0.5, de;q=0.9"}, []string{"fr", "de"}, 1},
		"over lines":                 {[]string{"fr;q=0.5", "de"}, []string{"fr", "de"}, 1},
		"in any case":                {[]string{"DE-at"}, []string{"de-AT"}, 0},
		"the newest of equals":       {[]string{"fr, de"}, []string{"de", "fr", "en"}, 1},
		"the newest of the same":     {[]string{"de"}, []string{"de", "de", "en"}, 1},
		"a range covers more":        {[]string{"de"}, []string{"de-Latn-CH"}, 0},
		"but not less":               {[]string{"de-CH"}, []string{"de"}, -1},
		"nor a longer word":          {[]string{"de"}, []string{"deu"}, -1},
		"the longest range decides":  {[]string{"de, de-CH;q=0"}, []string{"de-CH"}, -1},
		"the longest, the other way": {[]string{"de;q=0.1, de-CH"}, []string{"de-CH-1996", "de-AT"}, 0},
		"one of several tags":        {[]string{"de"}, []string{"en, de"}, 0},
		"a better one elsewhere":     {[]string{"fr, de;q=0.9"}, []string{"de"}, -1},
		"a wildcard is no wish":      {[]string{"*"}, []string{"de"}, -1},
		"nor beside one":             {[]string{"*, de;q=0.5"}, []string{"de"}, -1},
		"the smallest wish":          {[]string{"de;q=0.001, fr;q=0"}, []string{"fr", "de"}, 1},
		"all refused":                {[]string{"de;q=0"}, []string{"de"}, -1},
		"unreadable":                 {[]string{"de;q=x"}, []string{"de"}, -1},
		"no field":                   {nil, []string{"de"}, -1},
		"empty field":                {[]string{""}, []string{""}, -1},
		"no candidates":              {[]string{"de"}, nil, -1},
		"without a language":         {[]string{"de"}, []string{""}, -1},
	} {
		require.Equal(t, c.want, SelectByLanguage(c.accept, c.candidates), name)
	}
}

func TestVariantByLanguage(t *testing.T) {
	record := &VaryRecord{Fields: []string{"Accept-Language"}, Variants: []Variant{
		{ETag: "1", ContentLanguage: "de"}, {ETag: "2", ContentLanguage: "fr"},
	}}
	v, ok := record.SelectByLanguage(lines("Accept-Language: de, fr;q=0.3"))
	require.True(t, ok)
	require.Equal(t, "1", v.ETag)
	_, ok = record.SelectByLanguage(lines("Accept-Language: en"))
	require.False(t, ok)
	_, ok = record.SelectByLanguage(lines())
	require.False(t, ok)

	// What else the resource varies on cannot be told from a variant.
	record.Fields = []string{"Accept-Language", "Cookie"}
	_, ok = record.SelectByLanguage(lines("Accept-Language: de"))
	require.False(t, ok)
	record.Fields = []string{"Cookie"}
	_, ok = record.SelectByLanguage(lines("Accept-Language: de"))
	require.False(t, ok)
}
