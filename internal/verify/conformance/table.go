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
			fmt.Fprintf(out, "\n## %s\n\n| section | level | requirement | answer |\n|---|---|---|---|\n", rfc)
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

The program internal/verify/mutate changes the rules in one place at a time and counts the changes that the tests notice. No test
can notice these, because they change nothing that a rule requires:

| file | line | change | why it makes no difference |
|---|---|---|---|
`

const intro = `# Conformance

<!-- Generated from internal/verify/conformance: change the cases there and run go generate ./internal/verify/conformance. -->

This page lists what the RFCs on HTTP caching require of a cache, and whether Cirque keeps it: %d requirements and
%d cases. Every case is a scripted exchange over real connections. It runs through each front door (a handler in front of a
service and of a reverse proxy, a transport behind a reverse proxy and in a client) and over each kind of storage.

A requirement is *kept*, and the named cases show it; or *not kept*, by choice, for the given reason; or *not observable*
from outside the cache, because the named observation is missing. Requirements that concern only origins or only user
agents are left out. The level is the key word of the RFC; “encouraged” means its softer words, and “ours” means a rule
that we set where the RFC leaves a choice.
`

// mostNames is how many cases a row of the table names. The others are only counted.
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

// sections removes the name of rfc from sections of that RFC.
func sections(s, rfc string) string { return strings.ReplaceAll(s, rfc+" ", "") }

func escape(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "_", `\_`).Replace(s)
}

var number = regexp.MustCompile(`\d+`)

// sectionOrder returns a sort key: RFCs in the order of the table, sections by their numbers. If
// section lists several, the first counts.
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
