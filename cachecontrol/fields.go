package cachecontrol

import (
	"net/textproto"
	"slices"
	"strings"
)

// maxFields bounds the memory that a list of invented field names takes.
const maxFields = 128

// mergeFields adds a no-cache or private directive, whose argument is list, to the earlier ones of
// its name (RFC 9111 §5.2.2.4, §5.2.2.7). all is true if one of these was unqualified; otherwise
// fields are the field names that they list.
//
// The unqualified form includes the qualified one. An argument that lists no field, or something
// that cannot be a field name, counts as unqualified: a mistake must not lift the restriction.
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

// appendFields writes the directive, with fields as a quoted-string if it is qualified.
func appendFields(b []byte, name string, all bool, fields []string) []byte {
	if all || len(fields) == 0 {
		return appendFlag(b, name, all)
	}
	d := Directive{Name: name, Value: strings.Join(fields, ", "), HasValue: true, Quoted: true}
	return d.append(appendSeparator(b))
}
