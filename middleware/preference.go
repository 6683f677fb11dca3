package middleware

import (
	"slices"
	"strconv"
	"strings"

	"github.com/cirquecache/cirque/internal/field"
)

// preference is a member of a field of content negotiation, with its weight (RFC 9110 §12.4.2).
type preference struct {
	value  string // in lower case
	weight int    // in thousandths
}

type preferences []preference

// maxPreferences bounds the members of a field that is read. Clients name a dozen at most.
const maxPreferences = 64

// parsePreferences reads the lines of a field such as Accept-Language. ok is false, and the list
// empty, where there are more than maxPreferences members, or one that is no value with an optional
// weight.
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

// parseWeight reads a qvalue: 0 or 1, with up to three decimals.
func parseWeight(s string) (thousandths int, ok bool) {
	whole, decimals, _ := strings.Cut(s, ".")
	if whole != "0" && whole != "1" || len(decimals) > 3 {
		return 0, false
	}
	n, err := strconv.ParseUint(whole+(decimals + "000")[:3], 10, 16)
	return int(n), err == nil && n <= 1000
}

// weightOf returns the weight of a value in lower case, or -1 where the list does not mention it.
func (list preferences) weightOf(value string) int {
	if i := slices.IndexFunc(list, func(p preference) bool { return p.value == value }); i >= 0 {
		return list[i].weight
	}
	return -1
}

// languageWeight returns the weight of the longest range that matches tag by basic filtering, or
// that of a wildcard (RFC 9110 §12.5.4); -1 where none does.
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
