package conformance

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// WriteTable writes docs/conformance.md: every requirement with its answer, by RFC and section.
func WriteTable(w io.Writer) error {
	requirements := Requirements()
	slices.SortStableFunc(requirements, func(a, b Requirement) int {
		return slices.Compare(sectionOrder(a.Section), sectionOrder(b.Section))
	})
	total := len(Cases())
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, intro, len(requirements), total)
	rfc := ""
	for _, r := range requirements {
		if name := r.Section[:strings.Index(r.Section, " §")]; name != rfc {
			rfc = name
			fmt.Fprintf(out, "\n## %s\n\n| section | level | what is asked | answer |\n|---|---|---|---|\n", rfc)
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", sections(r.Section, rfc), r.Level, escape(r.Rule), r.answer())
	}
	fmt.Fprint(out, survivorsIntro)
	for _, s := range survivors {
		fmt.Fprintf(out, "| %s | `%s` | %s | %s |\n", s.File, strings.ReplaceAll(s.Source, "|", `\|`), escape(s.Mutation), escape(s.Why))
	}
	return out.Flush()
}

const survivorsIntro = `
## Changes that no test can notice

The program internal/mutate breaks the rules one branch at a time and counts how many of the breaks the tests notice. These they
cannot, because nothing that a rule asks for changes:

| file | line | change | why it makes no difference |
|---|---|---|---|
`

const intro = `# Conformance

<!-- Generated from internal/conformance: change the cases there and run go generate ./internal/conformance. -->

What the RFCs on HTTP caching ask of a cache, and how Cirque answers: %d requirements and %d cases. Every case
is a scripted exchange over real connections, and runs through each front door (a handler in front of a service and of a
reverse proxy, a transport behind a reverse proxy and in a client) and over each kind of storage.

A requirement is either *kept*, and the cases show it; or *not kept*, by choice, for the reason given; or *not
observable* at a cache from outside, for want of the observation named. Requirements on origins and on user agents alone
are left out. The level is the key word of the RFC; “encouraged” stands for its softer words, and “ours” for rules that we
set ourselves where the RFC leaves a choice.
`

// mostNames is how many cases are named in the table; the others are found beside them.
const mostNames = 8

func (r *Requirement) answer() string {
	switch {
	case r.NotKept != "":
		return "**not kept**: " + escape(r.NotKept)
	case r.NotObservable != "":
		return "**not observable**: it would take " + escape(r.NotObservable)
	}
	names := make([]string, 0, len(r.Cases)+len(r.KeptBy))
	for _, c := range r.Cases {
		names = append(names, c.Name)
	}
	names = append(names, r.KeptBy...)
	more := ""
	if len(names) > mostNames {
		more = fmt.Sprintf("; and %d more", len(names)-mostNames)
		names = names[:mostNames]
	}
	return "**kept**: " + escape(strings.Join(names, "; ")) + more
}

// sections drops the name of the RFC from sections of its own.
func sections(s, rfc string) string { return strings.ReplaceAll(s, rfc+" ", "") }

func escape(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "_", `\_`).Replace(s)
}

var number = regexp.MustCompile(`\d+`)

// sectionOrder sorts RFCs in the order of the table, and sections by their numbers. Of several sections the
// first counts.
func sectionOrder(section string) []int {
	first, _, _ := strings.Cut(section, ",")
	var order []int
	for _, digits := range number.FindAllString(first, -1) {
		n, _ := strconv.Atoi(digits)
		order = append(order, n)
	}
	rfcs := []int{9111, 9110, 5861, 8246, 9211, 9213, 9875}
	order[0] = cmp.Or(slices.Index(rfcs, order[0])+1, order[0])
	return order
}
