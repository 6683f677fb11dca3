// Command census counts what makes a codebase easy or hard to take over. It is run at the root of
// the module:
//
//	go run ./internal/verify/census                 # every count
//	go run ./internal/verify/census -unused .       # exported names of the root package that no other package uses
//	go run ./internal/verify/census -calls ./middleware
//
// It counts, tests aside:
//
//   - exported names by package: top-level ones, and of exported types the methods, fields and interface methods;
//   - functions of more than 60 lines, and the longest files;
//   - comment lines wider than 100 columns;
//   - calls between the files of a package that run back up. The order of the files is the one in which the fewest do, as
//     far as a search finds it. None at all means that the files can be read from top to bottom.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"
)

const (
	maxFunction = 60  // lines
	maxComment  = 100 // columns
	longest     = 10  // files that are listed
)

func main() {
	log.SetFlags(0)
	var (
		unused = flag.String("unused", "", "list the exported names of this `package` that no other one uses")
		calls  = flag.String("calls", "", "list the calls of this `package` that run back up")
	)
	flag.Parse()
	m, err := load(".")
	if err != nil {
		log.Fatal(err)
	}
	switch {
	case *unused != "":
		err = m.listUnused(os.Stdout, *unused)
	case *calls != "":
		err = m.listCalls(os.Stdout, *calls)
	default:
		m.report(os.Stdout)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// report prints every count.
func (m *module) report(w io.Writer) {
	fmt.Fprintf(w, "exported names, and those that no other package uses\n")
	for _, p := range m.packages {
		if p.name == "main" {
			continue
		}
		names := p.exported()
		alone := 0
		for _, n := range names {
			if !m.used[n.key] {
				alone++
			}
		}
		fmt.Fprintf(w, "%6d %5d  %s\n", len(names), alone, p.short)
	}

	var functions []function
	var files []file
	wide := 0
	for _, p := range m.packages {
		functions = append(functions, p.functions()...)
		for _, f := range p.files {
			files = append(files, file{p.path(f), p.lines(f)})
			wide += p.wideComments(f)
		}
	}
	fmt.Fprintf(w, "\nfunctions of more than %d lines\n", maxFunction)
	slices.SortFunc(functions, func(a, b function) int { return cmp.Compare(b.lines, a.lines) })
	for _, f := range functions {
		if f.lines > maxFunction {
			fmt.Fprintf(w, "%6d  %s %s\n", f.lines, f.file, f.name)
		}
	}
	fmt.Fprintf(w, "\nlongest files\n")
	slices.SortFunc(files, func(a, b file) int { return cmp.Compare(b.lines, a.lines) })
	for _, f := range files[:min(longest, len(files))] {
		fmt.Fprintf(w, "%6d  %s\n", f.lines, f.path)
	}
	fmt.Fprintf(w, "\ncomment lines wider than %d columns\n%6d\n", maxComment, wide)

	fmt.Fprintf(w, "\ncalls between files, and those that run back up\n")
	for _, p := range m.packages {
		if c := p.calls(); c.total > 0 {
			fmt.Fprintf(w, "%6d %5d  %s\n", c.total, len(c.upward), p.short)
		}
	}
}

// find returns the package that a pattern such as ./middleware names.
func (m *module) find(pattern string) (*pkg, error) {
	want := strings.TrimPrefix(strings.TrimPrefix(pattern, "."), "/")
	for _, p := range m.packages {
		if p.short == want || want == "" && p.short == "(root)" {
			return p, nil
		}
	}
	return nil, fmt.Errorf("census: no package %s", pattern)
}

func (m *module) listUnused(w io.Writer, pattern string) error {
	p, err := m.find(pattern)
	if err != nil {
		return err
	}
	for _, n := range p.exported() {
		if !m.used[n.key] {
			fmt.Fprintln(w, n.name)
		}
	}
	return nil
}

func (m *module) listCalls(w io.Writer, pattern string) error {
	p, err := m.find(pattern)
	if err != nil {
		return err
	}
	c := p.calls()
	fmt.Fprintf(w, "order: %s\n", strings.Join(c.order, " "))
	for _, u := range c.upward {
		fmt.Fprintln(w, u)
	}
	fmt.Fprintf(w, "%d of %d calls between files run back up\n", len(c.upward), c.total)
	return nil
}
