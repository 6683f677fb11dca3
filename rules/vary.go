package rules

import (
	"net/http"
	"slices"

	"github.com/cirquecache/cirque/internal/field"
)

// VaryFields returns the request fields that a response with header h varies on (RFC 9110 §12.5.5):
// canonical, sorted, each once, from all lines of Vary. star reports that a member is "*": then the
// stored response matches no request (RFC 9111 §4.1). star is also true for more than 64 fields,
// because each lookup has to go through them all.
func VaryFields(h http.Header) (fields []string, star bool) {
	for name := range field.Tokens(h["Vary"]) {
		if name == "*" {
			star = true
			continue
		}
		fields = append(fields, http.CanonicalHeaderKey(name))
	}
	slices.Sort(fields)
	fields = slices.Compact(fields)
	return fields, star || len(fields) > maxVaryFields
}

const maxVaryFields = 64
