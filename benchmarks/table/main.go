// Table measures what docs/performance.md states, and prints it as a table in Markdown.
//
//	go run ./table                                # the whole table, in about ten minutes
//	go run ./table -quick                         # rough figures, in about one minute
//	go run ./table -rows 'hit|miss'               # some experiments
//	go run ./table -profile /tmp/profiles -rows hit
//	go run ./table -write ../docs/performance.md -plot ../docs/hit-cost.svg
//
// Operations that are compared take turns in short slices, in separate processes. The table has the
// medians of the slices, and of the ratios between neighbours, so that other load on the machine
// affects all alike. docs/performance.md explains the rows.
//
// The files: experiments.go lists the experiments; contest.go makes contenders take turns; rig.go
// runs the processes; each kind of rig has its own file; row.go, document.go and plot.go print.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == rigCommand {
		os.Exit(runRig(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	b := &bench{progress: os.Stderr}
	flags := flag.NewFlagSet("table", flag.ExitOnError)
	quick := flags.Bool("quick", false, "measure roughly: shorter, fewer slices, and a tenth of the entries")
	flags.DurationVar(&b.slice, "d", 300*time.Millisecond, "how long each slice of a measurement takes")
	flags.IntVar(&b.rounds, "runs", 11, "how many slices each contender gets")
	flags.IntVar(&b.entries, "entries", 1_000_000, "how many entries the rows about large caches have")
	rows := flags.String("rows", "", "measure only the experiments whose name matches this `regexp`: "+experimentNames())
	plotFile := flags.String("plot", "", "write the plot of hit cost against entries to this `file`, an SVG")
	document := flags.String("write", "", "put the table into this Markdown `file`, between its markers")
	flags.StringVar(&b.profiles, "profile", "", "write profiles (CPU, allocations, heap) of what is measured in process to this `directory`")
	_ = flags.Parse(args) // exits
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *quick {
		b.slice, b.rounds, b.entries = 50*time.Millisecond, 3, b.entries/10
	}
	if b.slice <= 0 || b.rounds <= 0 || b.entries < 1000 {
		return fmt.Errorf("-d and -runs must be more than zero, -entries at least 1000")
	}
	wanted, err := regexp.Compile(*rows)
	if err != nil {
		return fmt.Errorf("-rows: %w", err)
	}
	if *document != "" && *rows != "" {
		return fmt.Errorf("-write is for the whole table: leave -rows out")
	}

	b.ctx, b.stop = context.WithCancel(ctx)
	defer b.stop()
	var table []row
	for _, e := range experiments {
		if !wanted.MatchString(e.name) {
			continue
		}
		fmt.Fprintf(b.progress, "%s\n", e.name)
		measured, err := b.run(e.run)
		if err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		table = append(table, measured...)
	}
	text := render(table) + b.conditions()
	fmt.Fprint(stdout, text)
	if *document != "" {
		if err := splice(*document, text); err != nil {
			return err
		}
	}
	if *plotFile == "" {
		return nil
	}
	fmt.Fprintf(b.progress, "plot\n")
	curves, err := b.hitCosts()
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	return os.WriteFile(*plotFile, plot(curves), 0o644)
}

// conditions says what the table was measured with.
func (b *bench) conditions() string {
	return fmt.Sprintf("\n%s %s/%s, %d cores; medians of %d slices of %s, their middle half in brackets.\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), b.rounds, b.slice)
}
