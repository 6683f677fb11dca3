package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
)

// To compile each mutant alone would take a run of the compiler and the linker for each. So the
// program puts all mutants into one text, each behind a switch. A condition c that two mutants
// change becomes
//
//	func() bool { switch activeMutant { case 3: return !(c); case 4: return true }; return c }()
//
// and an environment variable names the mutant that is active in a run.

// switchFile declares the switch.
const switchFile = "active_mutant_switch.go"

const switchSource = `package %s

import (
	"os"
	"strconv"
)

var activeMutant, _ = strconv.Atoi(os.Getenv(%q))
`

// mutantVariable is the environment variable that holds the number of the active mutant, which is
// its index plus one.
const mutantVariable = "ACTIVE_MUTANT"

// site is an expression or a statement that mutants change.
type site struct {
	start, end int // in the source
	mutants    []int
	within     []*site
	from, to   int // in the text with switches
}

// withSwitches returns the changed files of the package with mutants behind switches. alone has the
// mutants that do not compile behind a switch; the files do not contain them.
func (p *pkg) withSwitches(all []mutant) (files map[string][]byte, alone map[int]bool, err error) {
	alone = map[int]bool{}
	for i := range all {
		if all[i].fixed {
			alone[i] = true // the compiler may need its value
		}
	}
	for {
		files = map[string][]byte{}
		sites := map[string][]*site{}
		for i := range all {
			if name := all[i].file; files[name] == nil {
				sites[name] = nest(all, name, alone)
				files[name] = emit(p.sources[name], all, sites[name])
			}
		}
		c, err := p.check(nil)
		if err != nil {
			return nil, nil, err
		}
		files[switchFile] = fmt.Appendf(nil, switchSource, c.pkg.Name(), mutantVariable)
		if c, err = p.check(files); err != nil {
			return nil, nil, err
		}
		if len(c.errs) == 0 {
			return files, alone, nil
		}
		before := len(alone)
		for _, e := range c.errs {
			at := c.fset.Position(e.Pos)
			for _, i := range culprits(c, sites[at.Filename], at.Filename, at.Offset) {
				alone[i] = true
			}
		}
		if len(alone) == before {
			return nil, nil, fmt.Errorf("mutate: no mutant causes the error: %w", c.errs[0])
		}
	}
}

// nest returns the sites of the mutants of one file, except those in alone.
func nest(all []mutant, file string, alone map[int]bool) []*site {
	var order []int
	for i := range all {
		if all[i].file == file && !alone[i] {
			order = append(order, i)
		}
	}
	// An outer node comes before the nodes in it, and a statement before an expression of the same
	// extent.
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := &all[i], &all[j]
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end), cmp.Compare(a.typ, b.typ))
	})
	var top []*site
	var around []*site
	for _, i := range order {
		m := &all[i]
		for len(around) > 0 && around[len(around)-1].end <= m.start {
			around = around[:len(around)-1]
		}
		if len(around) > 0 {
			last := around[len(around)-1]
			if last.start == m.start && last.end == m.end && all[last.mutants[0]].typ == m.typ {
				last.mutants = append(last.mutants, i)
				continue
			}
		}
		s := &site{start: m.start, end: m.end, mutants: []int{i}}
		if len(around) > 0 {
			last := around[len(around)-1]
			last.within = append(last.within, s)
		} else {
			top = append(top, s)
		}
		around = append(around, s)
	}
	return top
}

// emit returns src with switches at the sites.
func emit(src []byte, all []mutant, sites []*site) []byte {
	var out bytes.Buffer
	var rest func(at, end int, sites []*site)
	one := func(s *site) {
		s.from = out.Len()
		if typ := all[s.mutants[0]].typ; typ == "" {
			fmt.Fprintf(&out, "if activeMutant != %d { ", s.mutants[0]+1)
			rest(s.start, s.end, s.within)
			out.WriteString(" }")
		} else {
			fmt.Fprintf(&out, "func() %s { switch activeMutant { ", typ)
			for _, i := range s.mutants {
				fmt.Fprintf(&out, "case %d: return %s; ", i+1, all[i].text)
			}
			out.WriteString("}; return ")
			rest(s.start, s.end, s.within)
			out.WriteString(" }()")
		}
		s.to = out.Len()
	}
	rest = func(at, end int, sites []*site) {
		for _, s := range sites {
			out.Write(src[at:s.start])
			one(s)
			at = s.end
		}
		out.Write(src[at:end])
	}
	rest(0, len(src), sites)
	return out.Bytes()
}

// culprits returns the mutants that may cause a compiler error at offset in the text with switches:
// those of the innermost site there, or else those of the whole declaration.
func culprits(in *checked, sites []*site, file string, offset int) []int {
	var found []int
	for len(sites) > 0 {
		i := slices.IndexFunc(sites, func(s *site) bool { return s.from <= offset && offset < s.to })
		if i < 0 {
			break
		}
		found, sites = sites[i].mutants, sites[i].within
	}
	if found != nil || in.files[file] == nil {
		return found
	}
	tokens := in.fset.File(in.files[file].FileStart)
	for _, d := range in.files[file].Decls {
		if from, to := tokens.Offset(d.Pos()), tokens.Offset(d.End()); from <= offset && offset < to {
			found = append(found, inside(sites, from, to)...)
		}
	}
	return found
}

func inside(sites []*site, from, to int) (found []int) {
	for _, s := range sites {
		if from <= s.from && s.to <= to {
			found = append(append(found, s.mutants...), inside(s.within, from, to)...)
		}
	}
	return found
}
