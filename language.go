package cirque

import (
	"net/http"
	"strings"
)

// SelectByLanguage returns the index of the stored response that a request's Accept-Language prefers (RFC 9111
// §4.1), or -1. candidates are the values of Content-Language of the stored responses that match the request in
// all other respects, the newest last.
//
// A response is selected only if its language has the highest weight in the request: where the client would
// like another better, the origin may have it. Among equals, the newest is selected. A wildcard selects
// nothing.
func SelectByLanguage(acceptLanguage []string, candidates []string) int {
	var stack [8]preference
	ranges, ok := parsePreferences(stack[:0], acceptLanguage, nil)
	if !ok {
		return -1
	}
	best := 1 // of a thousand; a weight of zero is a refusal
	for _, r := range ranges {
		best = max(best, r.weight)
	}
	for i := len(candidates) - 1; i >= 0; i-- {
		for tag := range tokens(candidates[i : i+1]) {
			if ranges.languageWeight(strings.ToLower(tag)) == best {
				return i
			}
		}
	}
	return -1
}

// languageWeight returns the weight of the longest range that matches tag by basic filtering (RFC 9110
// §12.5.4), -1 where none does.
func (list preferences) languageWeight(tag string) int {
	for {
		if weight := list.weightOf(tag); weight >= 0 {
			return weight
		}
		i := strings.LastIndexByte(tag, '-')
		if i < 0 {
			return -1
		}
		tag = tag[:i]
	}
}

// SelectByLanguage returns the variant that a request with header h prefers by its Accept-Language, if that is
// all that the resource varies on: see the function of this name.
func (r *VaryRecord) SelectByLanguage(h http.Header) (v Variant, ok bool) {
	if len(r.Fields) != 1 || r.Fields[0] != "Accept-Language" {
		return Variant{}, false
	}
	languages := make([]string, len(r.Variants))
	for i, v := range r.Variants {
		languages[i] = v.ContentLanguage
	}
	i := SelectByLanguage(h["Accept-Language"], languages)
	if i < 0 {
		return Variant{}, false
	}
	return r.Variants[i], true
}
