// Package fieldtest makes header fields for tests.
package fieldtest

import (
	"net/http"
	"strings"
	"time"
)

// Now is when the responses of tests are received.
var Now = time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)

// Day is a day.
const Day = 24 * time.Hour

// At returns the HTTP-date that lies d after Now.
func At(d time.Duration) string { return Now.Add(d).Format(http.TimeFormat) }

// Lines makes a header of "Name: value" lines.
func Lines(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		h.Add(name, strings.TrimPrefix(value, " "))
	}
	return h
}
