package cirque

import (
	"slices"
	"strings"
)

// preference is a member of a field of content negotiation, with its weight (RFC 9110 §12.4.2).
type preference struct {
	value  string // in lower case
	weight int    // in thousandths
}

// preferences are sorted by value, each value once.
type preferences []preference

// codingAlias returns the coding that a name is to be taken for (RFC 9110 §8.4.1).
func codingAlias(name string) string {
	switch name {
	case "x-compress":
		return "compress"
	case "x-gzip":
		return "gzip"
	}
	return name
}

// parsePreferences reads the lines of a field such as Accept-Language, whose members are values without
// parameters of their own and whose order has no meaning. ok is false where there is something else in it, or
// two weights for one value. What there is room for in buffer, which is empty, costs no allocation.
func parsePreferences(buffer preferences, lines []string, alias func(string) string) (list preferences, ok bool) {
	list = buffer
	for element := range tokens(lines) {
		p, ok := parsePreference(element)
		if !ok {
			return nil, false
		}
		if alias != nil {
			p.value = alias(p.value)
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
	if !validFieldName(p.value) { // a token, as names are; "*" is one
		return p, false
	}
	if !weighted {
		return p, true
	}
	parameter = trimOWS(parameter)
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
	n, ok := digits(whole + (decimals + "000")[:3])
	return n, ok && n <= 1000
}

// String returns the one spelling of all lists that mean the same.
func (list preferences) String() string {
	var stack [256]byte
	b := stack[:0]
	for i, p := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, p.value...)
		if p.weight != 1000 {
			w := p.weight
			b = append(b, ';', 'q', '=', '0', '.', '0'+byte(w/100), '0'+byte(w/10%10), '0'+byte(w%10))
		}
	}
	return string(b)
}

// withoutRefused leaves out the codings refused that would be as unwelcome unmentioned (RFC 9110 §12.5.3): all
// but identity, unless there is a wildcard.
func (list preferences) withoutRefused() preferences {
	if list.weightOf("*") >= 0 {
		return list
	}
	return slices.DeleteFunc(list, func(p preference) bool { return p.weight == 0 && p.value != "identity" })
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
