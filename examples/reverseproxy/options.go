package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cirquecache/cirque/console"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/middleware"
)

// The front doors of the cache.
const (
	frontHandler   = "handler"   // the cache serves the clients, and asks the proxy on a miss
	frontTransport = "transport" // the proxy serves the clients, and reaches the origin through the cache
)

// The formats of the access log.
const (
	logJSON     = "json"     // one JSON object a line
	logCombined = "combined" // the Combined Log Format of Apache, with what the cache did at the end
)

// demoMemory is the memory of the cache in the demo: so little that some responses have to leave.
const demoMemory = 32 << 20

// options are the values of the flags.
type options struct {
	listen      string
	origin      *url.URL // nil: the demo origin
	public      *url.URL // scheme and host that clients use; nil: those of their connection
	memory      size
	disk        string // a directory; empty: nothing is kept on disk
	diskSize    size
	memoryToo   bool // -memory was given: memory in front of the disk
	maxObject   size
	lockTimeout time.Duration
	eviction    string
	front       string
	staleError  time.Duration // how long a stale response may be served on an error, if it does not say
	staleUpdate time.Duration // how long it may be served while it is revalidated, if it does not say
	verbose     bool

	console      string // where the console listens; empty: there is none
	consoleToken string
	demo         bool   // the demo website gets visitors
	accessLog    string // the format of the access log; empty: there is none
}

// parseOptions parses the command line. It prints only the help for -h.
func parseOptions(args []string, stdout io.Writer) (*options, error) {
	o := &options{
		memory:      middleware.DefaultMaxBytes,
		diskSize:    10 << 30,
		maxObject:   middleware.DefaultMaxObjectBytes,
		lockTimeout: middleware.DefaultLockWait,
		eviction:    eviction.Default,
		front:       frontHandler,
	}
	flags := flag.NewFlagSet("reverseproxy", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	o.declareSite(flags)
	o.declareViews(flags)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(stdout)
		fmt.Fprintf(stdout, "Usage: reverseproxy [flags]\n\n")
		flags.PrintDefaults()
		return nil, err
	case err != nil:
		return nil, err
	case flags.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.lockTimeout <= 0:
		return nil, fmt.Errorf("invalid value %q for flag -lock-timeout: must be more than zero", o.lockTimeout)
	case o.staleError < 0:
		return nil, fmt.Errorf("invalid value %q for flag -stale-if-error: must not be negative", o.staleError)
	case o.staleUpdate < 0:
		return nil, fmt.Errorf("invalid value %q for flag -stale-while-revalidate: must not be negative", o.staleUpdate)
	}
	var sized bool
	flags.Visit(func(f *flag.Flag) {
		o.memoryToo = o.memoryToo || f.Name == "memory"
		sized = sized || f.Name == "disk-size"
	})
	if sized && o.disk == "" {
		return nil, errors.New("-disk-size needs -disk")
	}
	if o.demo && !o.memoryToo {
		o.memory = demoMemory
	}
	return o, o.checkConsole()
}

// declareSite declares the flags of what is served, and from where.
func (o *options) declareSite(flags *flag.FlagSet) {
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8080", "where clients connect, an `address`; port 0 takes a free one")
	flags.Func("origin", "the server behind the cache, a `URL` (default: a demo website)", func(s string) (err error) {
		o.origin, err = parseOrigin(s)
		return err
	})
	flags.Func("public-origin", "scheme and host that clients use, a `URL`, if another proxy ends their TLS; the host * means any host (default: those of the connection)", func(s string) (err error) {
		o.public, err = parsePublicOrigin(s)
		return err
	})
	flags.Var(&o.memory, "memory", "bytes for cached responses, a `size` such as 64MiB")
	flags.StringVar(&o.disk, "disk", "", "store responses in this `directory`, across restarts; with -memory, memory is in front of the disk")
	flags.Var(&o.diskSize, "disk-size", "bytes for cached responses on disk, a `size`")
	flags.Var(&o.maxObject, "max-object", "largest body that is stored, a `size`")
	flags.DurationVar(&o.lockTimeout, "lock-timeout", o.lockTimeout, "how long a request may wait until another's fill has a header")
	flags.Var(choice{&o.eviction, eviction.Names()}, "eviction", "which entries leave when there is no more room, a `policy`: "+strings.Join(eviction.Names(), ", "))
	flags.Var(choice{&o.front, []string{frontHandler, frontTransport}}, "front", "front `door` of the cache that serves: handler or transport")
	flags.DurationVar(&o.staleError, "stale-if-error", 0, "how long a stale response may be served while the origin fails, unless the response forbids that or says how long")
	flags.DurationVar(&o.staleUpdate, "stale-while-revalidate", 0, "how long a stale response may be served while a new one is fetched, unless the response forbids that or says how long")
}

// declareViews declares the flags that show what happens.
func (o *options) declareViews(flags *flag.FlagSet) {
	flags.StringVar(&o.console, "console", "", "serve a live page about the cache on this `address`, and its numbers at /stats.json there; for this machine only, unless there is a -console-token")
	flags.StringVar(&o.consoleToken, "console-token", "", "`secret` for the -console, with which browsers log in and programs authorise themselves")
	flags.BoolVar(&o.demo, "demo", false, "send some traffic to the demo website, and give the cache 32MiB if there is no -memory")
	flags.Var(choice{&o.accessLog, []string{logJSON, logCombined}}, "log", "write an access log to standard output in this `format`: json or combined")
	flags.BoolVar(&o.verbose, "v", false, "log one line for each request: method, URL, status, phase, bytes, duration")
}

// checkConsole returns an error if the flags of the console and of the demo do not fit together.
func (o *options) checkConsole() error {
	switch {
	case o.demo && o.origin != nil:
		return errors.New("-demo is about the demo website, and -origin replaces that")
	case o.consoleToken != "" && o.console == "":
		return errors.New("-console-token needs -console")
	case o.consoleToken != "" && len(o.consoleToken) < console.MinToken:
		return fmt.Errorf("-console-token needs at least %d characters", console.MinToken)
	case o.console != "" && o.consoleToken == "" && !console.IsLoopback(o.console):
		return fmt.Errorf("-console %s is not a loopback address: that needs a -console-token", o.console)
	}
	return nil
}

// parseOrigin parses the URL of a server. If it has a path, all requests go below that path.
func parseOrigin(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("want http://host:port or https://host:port")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return nil, errors.New("it can have a path, but no user, query or fragment")
	}
	return u, nil
}

// parsePublicOrigin parses the scheme and host that clients use: https://www.example.com, or
// https://* for any host.
func parsePublicOrigin(s string) (*url.URL, error) {
	u, err := parseOrigin(s)
	if err != nil || u.Path != "" || u.Host != "*" && strings.Contains(u.Host, "*") {
		return nil, errors.New("want http://host:port or https://host:port, without a path; the host can be *")
	}
	return u, nil
}

// choice is a flag with a fixed set of values.
type choice struct {
	value   *string
	choices []string
}

// Set implements flag.Value.
func (c choice) Set(s string) error {
	if !slices.Contains(c.choices, s) {
		return fmt.Errorf("want one of %s", strings.Join(c.choices, ", "))
	}
	*c.value = s
	return nil
}

// String implements flag.Value.
func (c choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}
