package main

import (
	"fmt"
	"strings"
)

// row is a line of the table.
type row struct {
	what     string
	against  string // what it is compared with, and what that took
	measured string // what Cirque took
	result   string // the comparison
	wanted   string // empty if nothing was set
	verdict  verdict
}

type verdict string

const (
	met   verdict = "yes"
	unmet verdict = "**no**"
)

func metIf(ok bool) verdict {
	if ok {
		return met
	}
	return unmet
}

// render prints the table in Markdown.
func render(rows []row) string {
	var b strings.Builder
	b.WriteString("| what | against | Cirque | comparison | wanted | met |\n|---|---|---|---|---|---|\n")
	for _, r := range rows {
		cells := []string{r.what, r.against, r.measured, r.result, r.wanted, string(r.verdict)}
		for i, cell := range cells {
			if cell == "" {
				cells[i] = "–"
			}
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	return b.String()
}

// cost prints the processor time and the allocations of one operation.
func cost(samples []sample) string {
	return fmt.Sprintf("%.2f µs, %s", figure(samples, sample.cpu).median/1e3, count(figure(samples, sample.allocs).median))
}

// microseconds prints nanoseconds.
func microseconds(s spread) string {
	return fmt.Sprintf("%.2f µs (%.2f–%.2f)", s.median/1e3, s.low/1e3, s.high/1e3)
}

// times prints a ratio.
func times(s spread) string {
	return fmt.Sprintf("%.2f (%.2f–%.2f)", s.median, s.low, s.high)
}

// count prints allocations per operation.
func count(allocs float64) string {
	if allocs > -0.05 && allocs < 9.95 && allocs-float64(int(allocs+0.5)) > 0.05 {
		return fmt.Sprintf("%.1f allocs", allocs)
	}
	return fmt.Sprintf("%.0f allocs", allocs)
}

// rate prints operations per second.
func rate(s spread) string {
	switch {
	case s.median >= 1e4:
		return fmt.Sprintf("%.1f k/s", s.median/1e3)
	default:
		return fmt.Sprintf("%.0f/s", s.median)
	}
}

// size prints a number of bytes.
func size(n float64) string {
	switch {
	case n >= 1<<20:
		return trim(fmt.Sprintf("%.2f", n/(1<<20))) + " MiB"
	case n >= 1<<10:
		return trim(fmt.Sprintf("%.1f", n/(1<<10))) + " KiB"
	}
	return fmt.Sprintf("%.0f bytes", n)
}

// trim removes the zeros at the end of a decimal fraction.
func trim(s string) string { return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") }

// number prints a count of entries.
func number(n int) string {
	switch {
	case n >= 1_000_000 && n%100_000 == 0:
		return trim(fmt.Sprintf("%.1f", float64(n)/1e6)) + " M"
	case n >= 1000 && n%100 == 0:
		return trim(fmt.Sprintf("%.1f", float64(n)/1e3)) + " K"
	}
	return fmt.Sprint(n)
}
