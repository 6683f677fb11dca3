package middleware

import (
	"slices"
	"strconv"
	"strings"

	"github.com/cirquecache/cirque/internal/field"
)

// preference is one member of a field for content negotiation, with its weight (RFC 9110 §12.4.2).
type preference struct {
	value  string // in lower case
	weight int    // in thousandths
}

// preferences are the members of a field, in order.
type preferences []preference

// maxPreferences bounds the number of members of a field. Clients send a dozen at most.
const maxPreferences = 64

// parsePreferences parses the lines of a field such as Accept-Language. If there are more than
// maxPreferences members, or a member is not a value with an optional weight, ok is false and the
// list is empty.
func parsePreferences(lines []string) (list preferences, ok bool) {
	for element := range field.Tokens(lines) {
		p, ok := parsePreference(element)
		if !ok || len(list) == maxPreferences {
			return nil, false
		}
		list = append(list, p)
	}
	return list, true
}

// parsePreference parses one member.
func parsePreference(s string) (p preference, ok bool) {
	value, parameter, weighted := strings.Cut(s, ";")
	p = preference{value: strings.ToLower(strings.TrimSpace(value)), weight: 1000}
	if p.value == "" || strings.ContainsAny(p.value, " \t\"") {
		return p, false
	}
	if !weighted {
		return p, true
	}
	parameter = strings.TrimSpace(parameter)
	if len(parameter) < len("q=0") || !strings.EqualFold(parameter[:2], "q=") {
		return p, false
	}
	p.weight, ok = parseWeight(parameter[2:])
	return p, ok
}

// parseWeight parses a qvalue: 0 or 1, with up to three decimals.
func parseWeight(s string) (thousandths int, ok bool) {
	whole, decimals, _ := strings.Cut(s, ".")
	if whole != "0" && whole != "1" || len(decimals) > 3 {
		return 0, false
	}
	n, err := strconv.ParseUint(whole+(decimals + "000")[:3], 10, 16)
	return int(n), err == nil && n <= 1000
}

// weightOf returns the weight of a value in lower case, or -1 if the list does not contain it.
func (list preferences) weightOf(value string) int {
	if i := slices.IndexFunc(list, func(p preference) bool { return p.value == value }); i >= 0 {
		return list[i].weight
	}
	return -1
}

// languageWeight returns the weight of the longest range that matches tag by basic filtering, or
// else that of a wildcard (RFC 9110 §12.5.4). It returns -1 if neither is there.
func (list preferences) languageWeight(tag string) int {
	for {
		if weight := list.weightOf(tag); weight >= 0 {
			return weight
		}
		i := strings.LastIndexByte(tag, '-')
		if i < 0 {
			return list.weightOf("*")
		}
		tag = tag[:i]
	}
}
