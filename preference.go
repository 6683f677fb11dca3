package cirque

import (
	"slices"
	"strconv"
	"strings"
)

// preference is a member of a field of content negotiation, with its weight (RFC 9110 §12.4.2).
type preference struct {
	value  string // in lower case
	weight int    // in thousandths
}

// preferences are sorted by value, each value once.
type preferences []preference

// parsePreferences reads the lines of a field such as Accept-Language, whose members are values without
// parameters of their own and whose order has no meaning. ok is false where there is something else in it, or two weights for one value.
func parsePreferences(lines []string) (list preferences, ok bool) {
	for element := range tokens(lines) {
		p, ok := parsePreference(element)
		if !ok {
			return nil, false
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b preference) int { return strings.Compare(a.value, b.value) })
	list = slices.Compact(list)
	for i := 1; i < len(list); i++ {
		if list[i].value == list[i-1].value {
			return nil, false
		}
	}
	return list, true
}

func parsePreference(s string) (p preference, ok bool) {
	value, parameter, weighted := strings.Cut(s, ";")
	p = preference{value: strings.ToLower(trimOWS(value)), weight: 1000}
	if !validFieldName(p.value) { // the tokens that names are made of, "*" among them
		return p, false
	}
	if weighted {
		parameter = trimOWS(parameter)
		if len(parameter) < 3 || !strings.EqualFold(parameter[:2], "q=") {
			return p, false
		}
		p.weight, ok = parseWeight(parameter[2:])
		return p, ok
	}
	return p, true
}

// parseWeight reads a qvalue: 0 or 1, with up to three decimals.
func parseWeight(s string) (thousandths int, ok bool) {
	whole, decimals, _ := strings.Cut(s, ".")
	if whole != "0" && whole != "1" || len(decimals) > 3 {
		return 0, false
	}
	n, ok := digits(whole + (decimals + "000")[:3])
	return n, ok && n <= 1000
}

// normalize returns the one spelling of all lists that mean the same. For codings, that takes their aliases (RFC 9110
// §8.4.1) and leaves out what is refused, if it would be as unwelcome unmentioned (§12.5.3).
func (list preferences) normalize(codings bool) string {
	var stack [256]byte
	b := stack[:0]
	wildcard := list.weightOf("*") >= 0
	for _, p := range list {
		if codings && p.weight == 0 && !wildcard && p.value != "identity" {
			continue
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = append(b, p.value...)
		if p.weight != 1000 {
			b = append(b, ";q="...)
			b = strconv.AppendInt(b, int64(p.weight), 10)
		}
	}
	return string(b)
}

// weightOf returns the weight of a value in lower case, or -1 where the list does not mention it.
func (list preferences) weightOf(value string) int {
	for _, p := range list {
		if p.value == value {
			return p.weight
		}
	}
	return -1
}
