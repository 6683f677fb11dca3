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

// WriteTable writes docs/conformance.md: a summary, then every requirement with its answer, by RFC
// and section.
func WriteTable(w io.Writer) error {
	requirements := Requirements()
	slices.SortStableFunc(requirements, func(a, b Requirement) int {
		return slices.Compare(sectionOrder(a.Section), sectionOrder(b.Section))
	})
	out := bufio.NewWriter(w)
	writeSummary(out, requirements)
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

// writeSummary writes the counts, and the requirements that are not kept or not observable.
func writeSummary(w io.Writer, requirements []Requirement) {
	var notKept, notObservable []Requirement
	for _, r := range requirements {
		switch {
		case r.NotKept != "":
			notKept = append(notKept, r)
		case r.NotObservable != "":
			notObservable = append(notObservable, r)
		}
	}
	kept := len(requirements) - len(notKept) - len(notObservable)
	fmt.Fprintf(w, intro, len(requirements), kept, len(notKept), levels(notKept), len(notObservable))
	cases := map[string]*Case{}
	for _, c := range Cases() {
		cases[c.Name] = &c
	}
	for _, door := range Doors() {
		atDoor, shown := 0, 0
		for _, c := range cases {
			if c.SuitsDoor(door) {
				atDoor++
			}
		}
		for _, r := range requirements {
			if slices.ContainsFunc(r.caseNames(), func(name string) bool { return cases[name].SuitsDoor(door) }) {
				shown++
			}
		}
		fmt.Fprintf(w, "| %s | %d of %d | %d |\n", doorTitles[door], shown, kept, atDoor)
	}
	fmt.Fprintf(w, howToRun, len(cases))
	fmt.Fprint(w, "\n## What is not kept\n\n| section | level | requirement | why not |\n|---|---|---|---|\n")
	for _, r := range notKept {
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", r.Section, r.Level, escape(r.Rule), escape(r.NotKept))
	}
	fmt.Fprint(w, "\n## What cannot be observed\n\n| section | level | requirement | what it would need |\n|---|---|---|---|\n")
	for _, r := range notObservable {
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", r.Section, r.Level, escape(r.Rule), escape(r.NotObservable))
	}
}

// levels counts requirements by level.
func levels(requirements []Requirement) string {
	var counts []string
	for _, level := range []Level{Must, MustNot, Should, ShouldNot, May, Encouraged, Ours} {
		n := 0
		for _, r := range requirements {
			if r.Level == level {
				n++
			}
		}
		if n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, level))
		}
	}
	return strings.Join(counts, ", ")
}

// doorTitles says what each door is.
var doorTitles = map[string]string{
	InFrontOfService: "`service`: a handler in front of a service",
	InFrontOfProxy:   "`handler`: a handler in front of a reverse proxy",
	BehindProxy:      "`transport`: a transport behind a reverse proxy",
	InClient:         "`client`: a transport in a client",
}

const intro = `# Conformance

<!-- Generated from internal/verify/conformance: change the cases there and run go generate ./internal/verify/conformance. -->

The RFCs on HTTP caching, and a few rules of our own, make %d requirements on a cache. Cirque keeps %d of them.
It does not keep %d by choice (%s): see [the reasons](#what-is-not-kept).
The other %d [cannot be observed](#what-cannot-be-observed) from outside a cache.

| front door | kept requirements that a case shows there | cases |
|---|---|---|
`

const howToRun = `
There are %d cases. Each is a scripted exchange over real connections. All run in memory at each door, and over storage on disk, in
tiers, and without streaming at the doors ` + "`handler` and `client`" + `. To run one
(a name that does not exist prints ` + "`ok`" + ` and ` + "`[no tests to run]`" + `):

` + "```sh" + `
go test ./internal/verify/conformance -run '^TestConformance$/^handler$/^no-store_is_not_stored$'
` + "```" + `

In the tables below, the level is the key word of the RFC. “encouraged” stands for its softer words, and “ours” for a rule that we
set where the RFC leaves a choice. The answer to a requirement is *kept*, with the cases that show it; or *not kept*, with the
reason; or *not observable*, with the observation that it would need. Requirements that concern only origins or only user agents are
left out.
`

const survivorsIntro = `
## Changes that no test can notice

The program internal/verify/mutate changes one line of the rules at a time and counts the changes that the tests notice. No test
can notice the changes below, because they make no difference to any requirement:

| file | line | change | why it makes no difference |
|---|---|---|---|
`

// mostNames is how many cases a row names. The others are only counted.
const mostNames = 8

// answer returns the last column of a row.
func (r *Requirement) answer() string {
	switch {
	case r.NotKept != "":
		return "**not kept**: " + escape(r.NotKept)
	case r.NotObservable != "":
		return "**not observable**: this would need " + escape(r.NotObservable)
	}
	names := r.caseNames()
	more := ""
	if len(names) > mostNames {
		more = fmt.Sprintf("; and %d more", len(names)-mostNames)
		names = names[:mostNames]
	}
	return "**kept**: " + escape(strings.Join(names, "; ")) + more
}

// caseNames returns the names of the cases that show that the requirement is kept.
func (r *Requirement) caseNames() []string {
	names := make([]string, 0, len(r.Cases)+len(r.KeptBy))
	for _, c := range r.Cases {
		names = append(names, c.Name)
	}
	return append(names, r.KeptBy...)
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
