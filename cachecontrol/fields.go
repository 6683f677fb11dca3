package cachecontrol

import (
	"net/textproto"
	"slices"
	"strings"
)

// maxFields bounds what a list of made-up field names can cost.
const maxFields = 128

// mergeFields adds the argument of one no-cache or private directive to what
// those before it said: all for the unqualified form, else fields (RFC 9111
// §5.2.2.4, §5.2.2.7).
//
// Unqualified covers qualified. An argument that names no field, or something
// that can't be a field, counts as unqualified: it must not lift a restriction
// that was meant.
func mergeFields(all bool, fields []string, list string) (bool, []string) {
	if all {
		return true, nil
	}
	named := false
	for name := range strings.SplitSeq(list, ",") {
		name = trimOWS(name)
		if name == "" {
			continue // lists may have empty elements (RFC 9110 §5.6.1.2)
		}
		if !isToken(name) {
			return true, nil
		}
		named = true
		name = textproto.CanonicalMIMEHeaderKey(name)
		if slices.Contains(fields, name) {
			continue
		}
		if len(fields) == maxFields {
			return true, nil
		}
		fields = append(fields, name)
	}
	if !named {
		return true, nil
	}
	return false, fields
}

// appendFields writes the directive in the quoted form senders use for it.
func appendFields(b []byte, name string, all bool, fields []string) []byte {
	if all || len(fields) == 0 {
		return appendFlag(b, name, all)
	}
	d := Directive{Name: name, Value: strings.Join(fields, ", "), HasValue: true, Quoted: true}
	return d.append(appendSeparator(b))
}
