package cirque

import (
	"net/http"
	"slices"
	"strings"
)

// VaryFields returns the request fields that a response with header h varies on (RFC 9110 §12.5.5): canonical,
// sorted, each once, over all lines of Vary. star reports that a member is "*": no stored response then matches
// any request (RFC 9111 §4.1). More than 64 fields count as that, too: each lookup has to go through them all.
func VaryFields(h http.Header) (fields []string, star bool) {
	for name := range tokens(h["Vary"]) {
		if name == "*" {
			star = true
			continue
		}
		fields = append(fields, http.CanonicalHeaderKey(name))
	}
	slices.Sort(fields)
	fields = slices.Compact(fields)
	return fields, star || len(fields) > maxVaryFields
}

const maxVaryFields = 64

// VaryVariance enters into a builder what a request with header h has in fields, so that two requests have one
// variance if their fields match (RFC 9111 §4.1). Lines are combined and whitespace between list elements does
// not count; for Accept-Encoding and Accept-Language neither do order and case. A field that is missing matches
// only its absence.
//
// The epoch is part of the variance, which therefore always has a hash.
func VaryVariance(fields []string, h http.Header, epoch uint64) *VarianceBuilder {
	b := &VarianceBuilder{epoch: epoch, ofEpoch: true}
	b.addFields(fields, h)
	return b // short enough to be inlined, so that b can stay on the caller's stack
}

func (b *VarianceBuilder) addFields(fields []string, h http.Header) {
	for _, name := range fields {
		if lines := h[name]; len(lines) > 0 {
			b.AddNameValue(name, normalizeField(name, lines))
		} else {
			b.AddNameMissing(name)
		}
	}
}

// normalizeField returns one value for all spellings of a request field that mean the same.
func normalizeField(name string, lines []string) string {
	switch name {
	case "Accept-Encoding":
		var stack [8]preference
		if list, ok := parsePreferences(stack[:0], lines, codingAlias); ok {
			return list.withoutRefused().String()
		}
	case "Accept-Language":
		var stack [8]preference
		if list, ok := parsePreferences(stack[:0], lines, nil); ok {
			return list.String()
		}
	case "Authorization", "Cookie", "Origin", "Referer", "User-Agent":
		// No lists (RFC 9110 §5.5): a comma is part of the value, and so is the space beside it.
		return strings.Join(lines, ", ")
	}
	return normalizeList(lines)
}

// normalizeList combines the lines of a field (RFC 9110 §5.3) and removes the whitespace around the commas
// between its elements, though not within quoted-strings (§5.6.1 and §5.6.4).
func normalizeList(lines []string) string {
	if len(lines) == 1 && !strings.ContainsAny(lines[0], " \t") {
		return lines[0]
	}
	var b strings.Builder
	for i, line := range lines {
		if i > 0 {
			b.WriteByte(',')
		}
		for line = trimOWS(line); line != ""; {
			n := elementLen(line)
			b.WriteString(trimOWS(line[:n]))
			if line = line[n:]; line != "" {
				b.WriteByte(',')
				line = line[1:]
			}
		}
	}
	return b.String()
}

// elementLen returns the length of the first element of the list s, up to the comma that ends it. What a quote
// that is never closed begins lasts to the end.
func elementLen(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == ',' && !quoted:
			return i
		}
	}
	return len(s)
}
