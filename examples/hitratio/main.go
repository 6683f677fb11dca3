// Hitratio replays a trace of requests against eviction policies and prints how many requests hit.
//
// Try:
//
//	go run ./examples/hitratio -policy all
//	go run ./examples/hitratio -policy default,lru -capacity 16MiB,64MiB -plot hits.svg
//	go run ./examples/hitratio -trace requests.csv.gz -policy all
//
// A trace is a text, gzipped or not, with a line "key,size" for each request, in order. The key is
// any text without commas, the size is a number of bytes. Without -trace the program makes a trace:
// keys in a Zipf distribution, sizes in a log-normal one.
//
// Each line of the output has these fields, with tabs between them: policy, capacity, requests,
// object hit ratio and byte hit ratio in percent, evictions, nanoseconds per request. After every
// request the program checks that the resident entries fit the capacity, and fails if they do not.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cirquecache/cirque/eviction"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2) // the flag package has said why
	default:
		fmt.Fprintln(os.Stderr, "hitratio:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("bad usage")

// options holds the values of the flags.
type options struct {
	trace      string
	policies   []string
	capacities []capacity
	plot       string
	evictFirst bool
}

func parseOptions(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("hitratio", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.trace, "trace", "", "replay `FILE`, lines of \"key,size\", gzipped or not; - is standard input (default: a Zipf trace)")
	policies := flags.String("policy", "default", "policies `NAME,...`: "+strings.Join(eviction.Names(), ", ")+", default or all")
	capacities := flags.String("capacity", "0.1%,1%,10%", "capacities `SIZE,...`: bytes, with or without unit (64MiB), or % of the trace's distinct bytes")
	flags.StringVar(&o.plot, "plot", "", "draw the hit ratios in `FILE.svg`")
	flags.BoolVar(&o.evictFirst, "evict-first", false, "make room before an entry is admitted, as a store with a budget does")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, errUsage
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.policies, err = parsePolicies(*policies); err != nil {
		return o, err
	}
	o.capacities, err = parseCapacities(*capacities)
	return o, err
}

func run(args []string, stdout, stderr io.Writer) (err error) {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	t, err := openTrace(o.trace)
	if err != nil {
		return err
	}
	for _, c := range o.capacities {
		if c.of(t) < 1 {
			return fmt.Errorf("-capacity: %s of %d bytes is less than one byte", c.text, t.distinctBytes)
		}
	}
	if o.plot == "" {
		_, err = replayAll(o, t, stdout, stderr)
		return err
	}
	// The file is made first: better to fail now than after the replays.
	picture, err := os.Create(o.plot)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, picture.Close()) }()
	rows, err := replayAll(o, t, stdout, stderr)
	if err != nil {
		return err
	}
	_, err = picture.Write(plot(rows))
	return err
}

// replayAll replays the trace for every policy and capacity and prints a line for each.
func replayAll(o options, t *trace, stdout, stderr io.Writer) (rows []row, err error) {
	bar := newProgress(stderr, len(o.policies)*len(o.capacities)*len(t.requests))
	defer bar.clear()
	if isTerminal(stdout) {
		fmt.Fprintln(stdout, "policy\tcapacity\trequests\tobject%\tbyte%\tevictions\tns/request")
	}
	for _, policy := range o.policies {
		for _, c := range o.capacities {
			limit := c.of(t)
			manager, err := eviction.New(policy, limit)
			if err != nil {
				return nil, err
			}
			result, err := replay(t, manager, limit, o.evictFirst, bar.add)
			if err != nil {
				return nil, fmt.Errorf("%s at %s: %w", policy, c.text, err)
			}
			row := row{policy, c.text, limit, result}
			rows = append(rows, row)
			bar.clear()
			if _, err := fmt.Fprintln(stdout, row); err != nil {
				return nil, err
			}
		}
	}
	return rows, nil
}

// row is a line of the output.
type row struct {
	policy   string
	capacity string // as the user wrote it
	limit    int64
	result   result
}

func (r row) String() string {
	return fmt.Sprintf("%s\t%s\t%d\t%.2f\t%.2f\t%d\t%.0f", r.policy, r.capacity, r.result.requests,
		r.result.objectPercent(), r.result.bytePercent(), r.result.evictions, r.result.nsPerRequest())
}

func parsePolicies(s string) ([]string, error) {
	known := eviction.Names()
	var names []string
	for name := range strings.SplitSeq(s, ",") {
		switch name = strings.TrimSpace(name); {
		case name == "all":
			names = append(names, known...)
		case name == "default":
			names = append(names, eviction.Default)
		case slices.Contains(known, name):
			names = append(names, name)
		default:
			return nil, fmt.Errorf("-policy: no policy %q; there are %s, default and all", name, strings.Join(known, ", "))
		}
	}
	return names, nil
}

// capacity is a number of bytes, or a share of the distinct bytes of a trace.
type capacity struct {
	text  string
	bytes int64
	share float64 // used if bytes is zero
}

func (c capacity) of(t *trace) int64 {
	if c.bytes > 0 {
		return c.bytes
	}
	return int64(c.share * float64(t.distinctBytes))
}

var units = []struct {
	suffix string
	bytes  float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"B", 1}, {"", 1},
}

func parseCapacities(s string) ([]capacity, error) {
	var cs []capacity
	for text := range strings.SplitSeq(s, ",") {
		text = strings.TrimSpace(text)
		c := capacity{text: text}
		if number, ok := strings.CutSuffix(text, "%"); ok {
			percent, err := strconv.ParseFloat(number, 64)
			if err != nil || !(percent > 0) || math.IsInf(percent, 0) {
				return nil, fmt.Errorf("-capacity: %q is not a positive share", text)
			}
			c.share = percent / 100
			cs = append(cs, c)
			continue
		}
		for _, unit := range units {
			if number, ok := strings.CutSuffix(text, unit.suffix); ok {
				bytes, err := strconv.ParseFloat(number, 64)
				if err != nil || !(bytes*unit.bytes >= 1) || bytes*unit.bytes >= math.MaxInt64 {
					return nil, fmt.Errorf("-capacity: %q is neither a size in bytes nor a share in percent", text)
				}
				c.bytes = int64(bytes * unit.bytes)
				break
			}
		}
		cs = append(cs, c)
	}
	return cs, nil
}
