package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// progress is a bar on a terminal. Without a terminal it is nil and shows nothing.
type progress struct {
	w           io.Writer
	done, total int
	shown       int // permille
}

func newProgress(w io.Writer, total int) *progress {
	if !isTerminal(w) {
		return nil
	}
	return &progress{w: w, total: total}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

const barWidth = 40

// add notes that n more requests were replayed.
func (p *progress) add(n int) {
	if p == nil {
		return
	}
	p.done += n
	permille := p.done * 1000 / p.total
	if permille == p.shown {
		return
	}
	p.shown = permille
	filled := barWidth * permille / 1000
	fmt.Fprintf(p.w, "\r%s%s %5.1f%%", strings.Repeat("█", filled), strings.Repeat("░", barWidth-filled), float64(permille)/10)
}

// clear removes the bar from the screen.
func (p *progress) clear() {
	if p != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
