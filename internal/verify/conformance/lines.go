package conformance

import (
	"fmt"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Lines are field lines, "Name: value", in their order. In a message to send, "-Name" prevents the
// server from adding a field. In an expectation, all lines of a name must be there with these
// values in this order, and
//
//	-Name        no such field
//	Name: *      a field of any value
//	Name: ~60    one number, from 60 up to 60 plus slack for a slow machine
//
// Values may contain these placeholders:
//
//	{now} {now+60} {now-60}       an HTTP-date relative to the start of the case
//	{LAYOUT|now+60}               the same in another layout of package time
//	{path} {url} {host}           of the case, as the cache sees them
//	{id}                          a word unique to this run of the case
type Lines []string

// slack is how many seconds a machine under load may add to a case.
const slack = 20

// layouts names the layouts that cases use often.
var layouts = map[string]string{
	"rfc850":  "Monday, 02-Jan-06 15:04:05 GMT",
	"asctime": time.ANSIC,
}

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// scope holds the values of the placeholders of one run.
type scope struct {
	now   time.Time
	words map[string]string
}

func (sc *scope) expand(s string) string {
	if !strings.Contains(s, "{") {
		return s
	}
	return placeholder.ReplaceAllStringFunc(s, func(p string) string {
		p = p[1 : len(p)-1]
		if word, ok := sc.words[p]; ok {
			return word
		}
		layout, when, ok := strings.Cut(p, "|")
		if !ok {
			layout, when = http.TimeFormat, p
		} else if l, ok := layouts[layout]; ok {
			layout = l
		}
		offset, isNow := strings.CutPrefix(when, "now")
		seconds, err := strconv.Atoi(offset)
		if !isNow || offset != "" && err != nil {
			panic(fmt.Sprintf("conformance: unknown placeholder {%s}", p))
		}
		return sc.now.Add(time.Duration(seconds) * time.Second).Format(layout)
	})
}

// split splits a line into name and expanded value. absent is true for "-Name".
func (sc *scope) split(line string) (name, value string, absent bool) {
	if name, ok := strings.CutPrefix(line, "-"); ok {
		return name, "", true
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		panic(fmt.Sprintf("conformance: %q is not a field line", line))
	}
	return name, sc.expand(strings.TrimSpace(value)), false
}

// header returns the lines as a header to send. A suppressed field has a nil value, as net/http
// requires.
func (sc *scope) header(lines Lines, raw bool) http.Header {
	h := make(http.Header, len(lines))
	for _, line := range lines {
		name, value, absent := sc.split(line)
		if !raw {
			name = http.CanonicalHeaderKey(name)
		}
		if absent {
			h[name] = nil
			continue
		}
		h[name] = append(h[name], value)
	}
	return h
}

// check returns how got differs from want.
func (sc *scope) check(got http.Header, want Lines) (problems []string) {
	expected := map[string][]string{}
	for _, line := range want {
		name, value, absent := sc.split(line)
		name = textproto.CanonicalMIMEHeaderKey(name)
		if absent {
			if values := got.Values(name); len(values) > 0 {
				problems = append(problems, fmt.Sprintf("has %s: %q", name, values))
			}
			continue
		}
		expected[name] = append(expected[name], value)
	}
	for name, values := range expected {
		if !sameValues(name, got.Values(name), values) {
			problems = append(problems, fmt.Sprintf("has %s: %q, not %q", name, got.Values(name), values))
		}
	}
	slices.Sort(problems)
	return problems
}

func sameValues(name string, got, want []string) bool {
	if len(want) == 1 {
		if want[0] == "*" {
			return len(got) > 0
		}
		if n, ok := strings.CutPrefix(want[0], "~"); ok {
			return len(got) == 1 && near(got[0], n, name == "Age")
		}
	}
	if name == "If-None-Match" { // a set
		return slices.Equal(members(got), members(want))
	}
	return slices.Equal(got, want)
}

// near reports whether the number got is want, with slack for a slow machine. The slack is added if
// grows, as for ages, and else subtracted, as for times to live.
func near(got, want string, grows bool) bool {
	g, err := strconv.Atoi(got)
	w, err2 := strconv.Atoi(want)
	if err != nil || err2 != nil {
		return false
	}
	if grows {
		return w <= g && g <= w+slack
	}
	return w-slack <= g && g <= w
}

func members(values []string) []string {
	var all []string
	for m := range strings.SplitSeq(strings.Join(values, ","), ",") {
		all = append(all, strings.TrimSpace(m))
	}
	slices.Sort(all)
	return all
}
