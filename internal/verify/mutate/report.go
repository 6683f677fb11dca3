package main

import (
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"text/tabwriter"

	"github.com/cirquecache/cirque/internal/verify/conformance"
)

// report sums up the results of the mutants.
type report struct {
	files       map[string]*tally
	survivors   []*mutant
	unexplained int
}

// tally counts the mutants of one file.
type tally struct {
	killers                        map[string]int // by package
	killed, survived, excused, all int
}

func (r *report) add(m *mutant, f fate, pkg string) {
	t := r.files[m.file]
	if t == nil {
		t = &tally{killers: map[string]int{}}
		r.files[m.file] = t
	}
	switch f {
	case stillborn:
		return
	case killed:
		t.killed++
		t.killers[pkg]++
	case survived:
		if _, ok := explained(m); ok {
			t.excused++
			break
		}
		t.survived++
		r.unexplained++
		r.survivors = append(r.survivors, m)
	}
	t.all++
}

// print writes the survivors, and the counts for each file.
func (r *report) print(w io.Writer) {
	for _, m := range r.survivors {
		fmt.Fprintf(w, "survived %s\n", m)
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "file\tmutants\tkilled\texplained\tsurvived\tshare\tkilled by")
	sum := tally{killers: map[string]int{}}
	for _, file := range slices.Sorted(maps.Keys(r.files)) {
		t := r.files[file]
		t.print(out, file)
		sum.killed, sum.survived, sum.excused, sum.all = sum.killed+t.killed, sum.survived+t.survived, sum.excused+t.excused, sum.all+t.all
		for pkg, n := range t.killers {
			sum.killers[pkg] += n
		}
	}
	sum.print(out, "all")
	out.Flush()
}

func (t *tally) print(w io.Writer, name string) {
	share := 100.0
	if t.all > 0 {
		share = 100 * float64(t.killed+t.excused) / float64(t.all)
	}
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%.1f%%\t", name, t.all, t.killed, t.excused, t.survived, share)
	for i, pkg := range slices.Sorted(maps.Keys(t.killers)) {
		if i > 0 {
			fmt.Fprint(w, ", ")
		}
		fmt.Fprintf(w, "%s %d", pkg, t.killers[pkg])
	}
	fmt.Fprintln(w)
}

// explained returns the known reason, if there is one, why a survivor is equivalent to the
// original.
func explained(m *mutant) (string, bool) {
	for _, s := range conformance.Survivors() {
		if path.Base(s.File) == m.file && s.Source == m.source && s.Mutation == m.what {
			return s.Why, true
		}
	}
	return "", false
}
