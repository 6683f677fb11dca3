package cachecontrol

import (
	"strconv"

	"github.com/dunglas/httpsfv"
)

// ParseTargeted reads the lines of a targeted field such as CDN-Cache-Control (RFC 9213 §2.1),
// which is a Dictionary of Structured Fields. ok is false if the field is absent, empty or not a
// valid Dictionary. The cache must then treat it as absent.
//
// The syntax is stricter than that of Cache-Control: names are in lower case. If a directive has
// several values, the last counts (RFC 9651 §4.2.2). Parameters are ignored. A value whose type
// does not fit its directive is not used (RFC 9213 §2.1):
//
//   - max-age and the other numbers must be Integers; otherwise they mean zero seconds.
//   - Lists of field names must be Strings or Tokens; otherwise the directive is unqualified.
//   - Other restrictions count whatever their value, and public counts only if its value is true. A
//     value of false makes any of these absent.
//   - Extensions are left out if Cache-Control has no syntax for their value.
func ParseTargeted(lines []string) (r Response, ok bool) {
	if len(lines) == 0 {
		return Response{}, false
	}
	dict, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil || len(dict.Names()) == 0 {
		return Response{}, false
	}
	var p responseParser
	for _, name := range dict.Names() {
		member, _ := dict.Get(name)
		p.addMember(name, member)
	}
	return p.result(), true
}

// addMember adds the directive that RFC 9213 §2.1 maps to this member. If the value has the wrong
// type for it, only the restriction counts.
func (p *responseParser) addMember(name string, member httpsfv.Member) {
	var (
		item, _ = member.(httpsfv.Item) // for an Inner List, an Item without value
		seconds = p.delta(name) != nil
		fields  = name == "no-cache" || name == "private"
		d       = Directive{Name: name, HasValue: true}
		fits    = false
	)
	switch v := item.Value.(type) {
	case bool:
		if !v && !seconds {
			return
		}
		d.HasValue = false
		fits = !seconds
	case int64:
		d.Value = strconv.FormatInt(v, 10)
		fits = !fields
	case float64:
		text, err := httpsfv.Marshal(httpsfv.NewItem(v))
		d.Value = text
		fits = err == nil && !seconds && !fields
	case string:
		d.Value, d.Quoted = v, true
		fits = !seconds
	case httpsfv.Token:
		// Unlike a token of Cache-Control, it may contain colons and slashes.
		d.Value, d.Quoted = string(v), !isToken(string(v))
		fits = !seconds
	}
	if !fits {
		p.restrict(name)
		return
	}
	p.add(d.String(), d)
}
