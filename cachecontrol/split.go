package cachecontrol

import "strings"

// collector takes the directives of a field, in order.
type collector interface {
	// add takes a well-formed directive; text is the directive as it stood in the field.
	add(text string, d Directive)
	// restrict takes the lower-case name of a directive of which nothing else can be read. If the
	// directive restricts, it counts in its strictest form.
	restrict(name string)
}

// collect hands every directive of the field to c. It reads each line on its own, so that a quote
// left open in one does not reach into the next.
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
			// One quote is out of place, so another in the same line may have opened or closed the
			// wrong string. What looked like text between quotes could be a directive.
			restrictAll(line, c)
		}
	}
}

// elementLen returns the length of the first element of the list s, up to the comma that ends it.
// Commas within a quoted argument do not end it. The element is the whole of s if a quote stays
// open, or if there is a comma between two quotes that do not enclose an argument.
func elementLen(s string) int {
	argument := false // an argument can begin at i
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

// restrictAll hands c the words of a malformed text that may be names of directives: all tokens
// except those that follow an equals sign. So it finds both tokens in "no-cache; no-store" and only
// ext in "ext= private".
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
