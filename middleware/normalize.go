package middleware

import (
	"net/http"
	"slices"
	"strings"
)

// normalized returns r, or a copy of it with other values in the fields that Config.Normalize
// names.
func (c *Cache) normalized(r *http.Request) *http.Request {
	if len(c.cfg.Normalize) == 0 {
		return r
	}
	own := *r
	own.Header = nil
	for name, rule := range c.cfg.Normalize {
		lines := r.Header[name]
		value := rule(lines)
		if value == "" && len(lines) == 0 || value != "" && len(lines) == 1 && lines[0] == value {
			continue
		}
		if own.Header == nil {
			if own.Header = r.Header.Clone(); own.Header == nil {
				own.Header = make(http.Header) // of a request made by hand
			}
		}
		if value == "" {
			delete(own.Header, name)
		} else {
			own.Header[name] = []string{value}
		}
	}
	if own.Header == nil {
		return r
	}
	return &own
}

// LanguageClass returns a rule of Config.Normalize for Accept-Language: it puts the language that a
// request likes best in place of the whole field. languages are those that the origin has. The
// first of them is for requests that accept none, or whose field cannot be read.
//
// A language matches the range that is the longest prefix of it (RFC 9110 §12.5.4). Among languages
// of equal weight, the one that languages names first is chosen. LanguageClass panics if languages
// is empty.
func LanguageClass(languages ...string) func(lines []string) string {
	if len(languages) == 0 {
		panic("middleware: LanguageClass needs a language")
	}
	languages = slices.Clone(languages)
	return func(lines []string) string {
		list, _ := parsePreferences(lines)
		best, weight := languages[0], 0
		for _, language := range languages {
			if w := list.languageWeight(strings.ToLower(language)); w > weight {
				best, weight = language, w
			}
		}
		return best
	}
}

// EncodingClass returns a rule of Config.Normalize for Accept-Encoding: it puts the content coding
// that a request likes best in place of the whole field. codings are those that the origin has, the
// best one first, such as "br" and "gzip". A request that names none of them, or whose field cannot
// be read, gets "identity".
//
// Among codings of equal weight, the one that codings names first is chosen (RFC 9110 §12.5.3).
func EncodingClass(codings ...string) func(lines []string) string {
	codings = slices.Clone(codings)
	return func(lines []string) string {
		list, _ := parsePreferences(lines)
		best, weight := "identity", 0
		for _, coding := range codings {
			w := list.weightOf(strings.ToLower(coding))
			if w < 0 {
				w = list.weightOf("*")
			}
			if w > weight {
				best, weight = coding, w
			}
		}
		return best
	}
}
