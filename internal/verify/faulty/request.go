package faulty

import (
	"fmt"
	"strings"
)

// Request is a request that is sent unchecked over an HTTP/1.1 connection.
type Request struct {
	Method string   // GET if empty
	Target string   // path and query, as sent
	Host   string   // the address of the Conn if empty
	Fields []string // header lines without line ends; Host and Content-Length are added
	Body   string

	// Length is the Content-Length to declare. 0 means the length of Body, or no Content-Length if
	// Body is empty.
	Length int
}

func (r Request) wire(host string) string {
	if r.Method == "" {
		r.Method = "GET"
	}
	if r.Host == "" {
		r.Host = host
	}
	if r.Length == 0 {
		r.Length = len(r.Body)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, r.Target, r.Host)
	for _, field := range r.Fields {
		b.WriteString(field + "\r\n")
	}
	if r.Length > 0 {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", r.Length)
	}
	b.WriteString("\r\n" + r.Body)
	return b.String()
}

// OverlappingRanges returns a Range field that requests nearly the whole body n times, with about 8
// bytes for each (CVE-2018-8005).
func OverlappingRanges(n int) string {
	return rangeField(n, func(i int) string { return fmt.Sprintf("%d-", i) })
}

// OneByteRanges returns a Range field that requests n single bytes that are not adjacent.
func OneByteRanges(n int) string {
	return rangeField(n, func(i int) string { return fmt.Sprintf("%d-%d", 2*i, 2*i) })
}

func rangeField(n int, spec func(int) string) string {
	specs := make([]string, n)
	for i := range specs {
		specs[i] = spec(i)
	}
	return "Range: bytes=" + strings.Join(specs, ",")
}

// OversizeField returns a field of n bytes, which makes some origins answer 400 or 431.
func OversizeField(n int) string {
	const name = "X-Oversize: "
	return name + strings.Repeat("o", max(0, n-len(name)))
}

// ControlField returns a field whose value contains the byte c.
func ControlField(c byte) string {
	return "X-Control: a" + string(rune(c)) + "b"
}

// MethodOverrideFields returns the fields that some frameworks use instead of the request's method.
func MethodOverrideFields(method string) []string {
	return []string{
		"X-HTTP-Method-Override: " + method,
		"X-HTTP-Method: " + method,
		"X-Method-Override: " + method,
	}
}
