package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// report prints every count.
func (m *module) report(w io.Writer) {
	fmt.Fprintf(w, "exported names, and those that no other package uses\n")
	for _, p := range m.packages {
		if p.name != "main" {
			fmt.Fprintf(w, "%6d %5d  %s\n", len(p.exported()), len(p.unused()), p.short)
		}
	}
	fmt.Fprintf(w, "\nfunctions of more than %d lines\n", maxFunction)
	printFunctions(w, m.packages)
	fmt.Fprintf(w, "\nlongest files\n")
	printFiles(w, m.packages, longest)

	wide := 0
	for _, p := range m.packages {
		for _, f := range p.files {
			wide += len(p.wideComments(f))
		}
	}
	fmt.Fprintf(w, "\ncomment lines wider than %d columns\n%6d\n", maxComment, wide)

	repeated := 0
	for _, r := range m.repetitions() {
		repeated += r.lines
	}
	fmt.Fprintf(w, "\nlines in runs of at least %d that have stood before\n%6d\n", minRepeated, repeated)

	fmt.Fprintf(w, "\ncalls between files, and those that run back up\n")
	for _, p := range m.packages {
		if c := p.calls(); c.total > 0 {
			fmt.Fprintf(w, "%6d %5d  %s\n", c.total, len(c.upward), p.short)
		}
	}
}

// list prints the items behind one count, in the packages that match patterns such as ./rules; in
// all packages if there is no pattern.
func (m *module) list(w io.Writer, count string, patterns []string) error {
	packages := m.packages
	if len(patterns) > 0 {
		packages = nil
		for _, pattern := range patterns {
			p, err := m.find(pattern)
			if err != nil {
				return err
			}
			packages = append(packages, p)
		}
	}
	switch count {
	case "names":
		for _, p := range packages {
			for _, n := range p.unused() {
				fmt.Fprintf(w, "%s: %s\n", p.short, n.name)
			}
		}
	case "functions":
		printFunctions(w, packages)
	case "files":
		printFiles(w, packages, 1<<30)
	case "comments":
		for _, p := range packages {
			for _, f := range p.files {
				for _, at := range p.wideComments(f) {
					fmt.Fprintf(w, "%s:%d\n", at.path, at.line)
				}
			}
		}
	case "repeated":
		printRepetitions(w, m.repetitions(), packages)
	case "calls":
		for _, p := range packages {
			printCalls(w, p)
		}
	default:
		return fmt.Errorf("census: no count %q", count)
	}
	return nil
}

// find returns the package that a pattern such as ./middleware names.
func (m *module) find(pattern string) (*pkg, error) {
	want := strings.Trim(strings.TrimPrefix(pattern, "."), "/")
	for _, p := range m.packages {
		if p.short == want || want == "" && p.short == "(root)" {
			return p, nil
		}
	}
	return nil, fmt.Errorf("census: no package %s", pattern)
}

func printFunctions(w io.Writer, packages []*pkg) {
	var functions []function
	for _, p := range packages {
		functions = append(functions, p.functions()...)
	}
	slices.SortStableFunc(functions, byLength(func(f function) int { return f.lines }))
	for _, f := range functions {
		if f.lines > maxFunction {
			fmt.Fprintf(w, "%6d  %s:%d %s\n", f.lines, f.path, f.line, f.name)
		}
	}
}

// printFiles prints the longest files, most of them at the most.
func printFiles(w io.Writer, packages []*pkg, most int) {
	type file struct {
		path  string
		lines int
	}
	var files []file
	for _, p := range packages {
		for _, f := range p.files {
			files = append(files, file{p.path(f), p.lines(f)})
		}
	}
	slices.SortStableFunc(files, byLength(func(f file) int { return f.lines }))
	for _, f := range files[:min(most, len(files))] {
		fmt.Fprintf(w, "%6d  %s\n", f.lines, f.path)
	}
}

func printRepetitions(w io.Writer, repetitions []repetition, packages []*pkg) {
	var files []string
	for _, p := range packages {
		for _, f := range p.files {
			files = append(files, p.path(f))
		}
	}
	slices.SortStableFunc(repetitions, byLength(func(r repetition) int { return r.lines }))
	for _, r := range repetitions {
		if slices.Contains(files, r.path) {
			fmt.Fprintf(w, "%6d  %s:%d as from %s:%d\n", r.lines, r.path, r.line, r.first.path, r.first.line)
		}
	}
}

func printCalls(w io.Writer, p *pkg) {
	c := p.calls()
	if c.total == 0 {
		return
	}
	fmt.Fprintf(w, "%s: %d of %d calls between files run back up\n", p.short, len(c.upward), c.total)
	if len(c.upward) > 0 {
		fmt.Fprintf(w, "  order: %s\n", strings.Join(c.order, " "))
	}
	for _, u := range c.upward {
		fmt.Fprintf(w, "  %v\n", u)
	}
}
