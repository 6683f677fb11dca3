package cachecontrol

import "strings"

// maxExtensions bounds the memory that a field full of invented directives takes.
const maxExtensions = 128

// Directive is one directive as it stood in the field.
type Directive struct {
	// Name is the directive's name in lower case: case does not matter in names (RFC 9111 §5.2).
	Name string
	// Value is the argument, without its quotes and escapes.
	Value string
	// HasValue is true if there is an argument, even an empty one.
	HasValue bool
	// Quoted reports that the argument was a quoted-string, or can only be written as one.
	Quoted bool
}

// String returns the directive as a sender would write it. An argument that is not a token is
// quoted even if Quoted is false.
func (d Directive) String() string {
	return string(d.append(nil))
}

func (d Directive) append(b []byte) []byte {
	b = append(b, d.Name...)
	if !d.HasValue {
		return b
	}
	b = append(b, '=')
	if !d.Quoted && isToken(d.Value) {
		return append(b, d.Value...)
	}
	b = append(b, '"')
	for i := range len(d.Value) {
		if c := d.Value[i]; c == '"' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, d.Value[i])
	}
	return append(b, '"')
}

// parseDirective reads text, one list element without the whitespace around it, as
//
//	cache-directive = token [ "=" ( token / quoted-string ) ]
//
// (RFC 9111 §5.2). The grammar allows no whitespace around the equals sign.
func parseDirective(text string) (d Directive, ok bool) {
	n := tokenLen(text)
	if n == 0 {
		return Directive{}, false
	}
	d.Name = strings.ToLower(text[:n])
	if n == len(text) {
		return d, true
	}
	if text[n] != '=' {
		return Directive{}, false
	}
	arg := text[n+1:]
	d.HasValue = true
	if isToken(arg) {
		d.Value = arg
		return d, true
	}
	d.Quoted = true
	d.Value, ok = unquote(arg)
	return d, ok
}

// unquote returns the text that the quoted-string s stands for (RFC 9110 §5.6.4).
func unquote(s string) (string, bool) {
	if n := quotedLen(s); n == 0 || n != len(s) {
		return "", false
	}
	s = s[1 : len(s)-1]
	escaped := false
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return "", false
		} else if c == '\\' {
			escaped = true
		}
	}
	if !escaped {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++ // quotedLen has checked that a byte follows
		}
		b = append(b, s[i])
	}
	return string(b), true
}

// quotedLen returns the length of the quoted-string at the start of s, quotes included. It returns
// 0 if there is none or it is not closed.
func quotedLen(s string) int {
	if s == "" || s[0] != '"' {
		return 0
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// tokenLen returns the length of the token at the start of s.
func tokenLen(s string) int {
	for i := range len(s) {
		if !tokenBytes[s[i]] {
			return i
		}
	}
	return len(s)
}

func isToken(s string) bool {
	return s != "" && tokenLen(s) == len(s)
}

// tokenBytes marks the bytes that are a tchar (RFC 9110 §5.6.2).
var tokenBytes = func() (t [256]bool) {
	const tchar = "!#$%&'*+-.^_`|~0123456789" +
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for _, c := range []byte(tchar) {
		t[c] = true
	}
	return t
}()

func trimOWS(s string) string {
	return strings.Trim(s, " \t")
}
