package main

import (
	"bytes"
	"cmp"
	"go/ast"
	"go/token"
	"strings"
	"unicode"
	"unicode/utf8"
)

// place is a line of a file.
type place struct {
	path string
	line int
}

// function is a function or method, with the lines from func to the last brace.
type function struct {
	place
	name  string
	lines int
}

// functions returns the functions and methods of p that have a body.
func (p *pkg) functions() []function {
	var all []function
	for _, f := range p.files {
		for _, declaration := range f.Decls {
			if d, ok := declaration.(*ast.FuncDecl); ok && d.Body != nil {
				first, last := p.fset.Position(d.Pos()).Line, p.fset.Position(d.End()).Line
				all = append(all, function{place{p.path(f), first}, d.Name.Name, last - first + 1})
			}
		}
	}
	return all
}

// wideComments returns the lines of f that are all comment and wider than maxComment columns. A tab
// counts four columns.
func (p *pkg) wideComments(f *ast.File) []place {
	var wide []place
	source := bytes.Split(p.sources[f], []byte("\n"))
	for i, comment := range p.commentLines(f) {
		line := strings.ReplaceAll(string(source[i]), "\t", "    ")
		if comment && utf8.RuneCountInString(line) > maxComment {
			wide = append(wide, place{p.path(f), i + 1})
		}
	}
	return wide
}

// commentLines reports for each line of f, counted from 0, whether it has a comment and no code.
func (p *pkg) commentLines(f *ast.File) []bool {
	lines := make([]bool, p.lines(f)+1) // the last line may have no line end
	for _, group := range f.Comments {
		for _, comment := range group.List {
			first, last := p.fset.Position(comment.Pos()), p.fset.Position(comment.End())
			start := p.fset.File(f.Pos()).LineStart(first.Line)
			before := p.sources[f][p.offset(f, start):first.Offset]
			if len(bytes.TrimSpace(before)) == 0 {
				for line := first.Line; line <= last.Line; line++ {
					lines[line-1] = true
				}
			}
		}
	}
	return lines
}

func (p *pkg) offset(f *ast.File, pos token.Pos) int { return p.fset.File(f.Pos()).Offset(pos) }

// repetition is a run of lines that has stood in the module before.
type repetition struct {
	place
	lines int
	first place // where the same lines stand first
}

// repetitions returns the runs of at least minRepeated lines of code that have stood in the module
// before. Indentation does not matter. Blank lines, comments, imports and lines without a letter or
// digit are no lines of code; they neither end nor lengthen a run.
func (m *module) repetitions() []repetition {
	type line struct {
		place
		text string
	}
	var found []repetition
	seen := map[string]place{}
	for _, p := range m.packages {
		for _, f := range p.files {
			var code []line
			comments := p.commentLines(f)
			imports := 0 // the last line of the imports
			for _, i := range f.Imports {
				imports = p.fset.Position(i.End()).Line
			}
			for i, text := range strings.Split(string(p.sources[f]), "\n") {
				text = strings.TrimSpace(text)
				if i >= imports && !comments[i] && strings.ContainsFunc(text, isWord) {
					code = append(code, line{place{p.path(f), i + 1}, text})
				}
			}
			end := -1 // the last line of code in the last repetition
			for i := range max(0, len(code)-minRepeated+1) {
				var window strings.Builder
				for _, l := range code[i : i+minRepeated] {
					window.WriteString(l.text + "\n")
				}
				first, repeated := seen[window.String()]
				switch {
				case !repeated:
					seen[window.String()] = code[i].place
				case i <= end:
					found[len(found)-1].lines += i + minRepeated - 1 - end
					end = i + minRepeated - 1
				default:
					found = append(found, repetition{code[i].place, minRepeated, first})
					end = i + minRepeated - 1
				}
			}
		}
	}
	return found
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// byLength returns a comparison that puts more lines first.
func byLength[T any](lines func(T) int) func(a, b T) int {
	return func(a, b T) int { return cmp.Compare(lines(b), lines(a)) }
}
