package middleware

import (
	"net/http"
	"slices"
	"strings"
)

// normalized returns r with the values that the rules of Config.Normalize give its fields: r itself
// if they change nothing, else a copy.
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
				own.Header = make(http.Header) // a request made by hand may have no header
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

// LanguageClass returns a rule of Config.Normalize for Accept-Language. It replaces the field by
// the one language that the request prefers. languages are those that the origin has. A request
// gets the first of them if it accepts none, or if its field cannot be parsed.
//
// A language matches the longest range that is a prefix of it (RFC 9110 §12.5.4). If several
// languages have the same weight, the first of them in languages is chosen. LanguageClass panics if
// languages is empty.
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

// EncodingClass returns a rule of Config.Normalize for Accept-Encoding. It replaces the field by
// the one content coding that the request prefers. codings are those that the origin has, the best
// one first, such as "br" and "gzip". A request gets "identity" if it accepts none of them, or if
// its field cannot be parsed.
//
// If several codings have the same weight, the first of them in codings is chosen (RFC 9110
// §12.5.3).
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
