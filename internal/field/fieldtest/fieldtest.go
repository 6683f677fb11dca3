// Package fieldtest makes header fields for tests.
package fieldtest

import (
	"net/http"
	"strings"
	"time"
)

// Now is the time at which tests receive their responses.
var Now = time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)

// Day is 24 hours.
const Day = 24 * time.Hour

// At returns the HTTP-date of the time d after Now.
func At(d time.Duration) string { return Now.Add(d).Format(http.TimeFormat) }

// Lines returns the header that consists of these "Name: value" lines.
func Lines(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		h.Add(name, strings.TrimPrefix(value, " "))
	}
	return h
}
