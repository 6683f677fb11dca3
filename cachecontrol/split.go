package cachecontrol

import "strings"

// collector takes what a field says, in the order in which it says it.
type collector interface {
	// add takes a well-formed directive; text is how it stood in the field.
	add(text string, d Directive)
	// restrict takes the lower-case name of a directive of which no more can
	// be made out: if it restricts, it counts in its strictest form.
	restrict(name string)
}

// collect hands every directive of the field to c. Lines are read one by one: a
// quote left open in one can't reach into the next.
func collect(lines []string, c collector) {
	for _, line := range lines {
		doubt := false
		for rest := line; rest != ""; {
			n := elementLen(rest)
			text := trimOWS(rest[:n])
			rest = rest[min(n+1, len(rest)):]
			if text == "" {
				continue // lists may have empty elements (RFC 9110 §5.6.1.2)
			}
			if d, ok := parseDirective(text); ok {
				c.add(text, d)
				continue
			}
			restrictAll(text, c)
			doubt = doubt || strings.Contains(text, `"`)
		}
		if doubt {
			// Once a quote is out of place, another in the same line may have
			// opened or closed a string that wasn't meant: what looked like
			// text between quotes could have been a directive.
			restrictAll(line, c)
		}
	}
}

// elementLen returns the length of the first element of the list s, up to the
// comma that ends it. A quoted argument hides the commas in it. The element is
// the whole of s if a quote stays open, or if one that isn't around an argument
// isn't closed before the next comma.
func elementLen(s string) int {
	argument := false // an argument would begin here
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ',':
			return i
		case '=':
			argument = true
		case ' ', '\t':
		case '"':
			n := quotedLen(s[i:])
			if n == 0 || !argument && strings.Contains(s[i:i+n], ",") {
				return len(s)
			}
			i += n - 1
			argument = false
		default:
			argument = false
		}
	}
	return len(s)
}

// restrictAll hands c the words of a malformed text that may be names of
// directives: all tokens save those that follow an equals sign. So it finds both
// in "no-cache; no-store" and only ext in "ext= private".
func restrictAll(text string, c collector) {
	const (
		name         = iota // the next token can be a name
		argument            // an equals sign came before
		quotedInside        // an equals sign and a quote came before
	)
	next := name
	for text != "" {
		if n := tokenLen(text); n > 0 {
			if next == name {
				c.restrict(strings.ToLower(text[:n]))
			}
			next = name
			text = text[n:]
			continue
		}
		switch b := text[0]; {
		case b == '=':
			next = argument
		case b == ' ' || b == '\t':
		case b == '"' && next == argument:
			next = quotedInside
		default:
			next = name
		}
		text = text[1:]
	}
}
