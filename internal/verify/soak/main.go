package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/cirquecache/cirque/middleware"
)

func main() {
	o := &options{}
	flag.DurationVar(&o.duration, "d", time.Minute, "how long to run")
	flag.StringVar(&o.front, "front", frontHandler, "front door: handler or transport")
	flag.StringVar(&o.storage, "storage", "memory", "storage: "+strings.Join(slices.Sorted(maps.Keys(storages)), ", "))
	flag.StringVar(&o.broken, "broken", "", "break the cache on purpose: "+strings.TrimPrefix(strings.Join(slices.Sorted(maps.Keys(breakages)), ", "), ", "))
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "seed of the random numbers; what depends on timing still differs between runs")
	memory := flag.Int64("memory", 8, "memory of the cache, in MiB")
	flag.IntVar(&o.workers, "workers", 48, "clients at the same time")
	flag.IntVar(&o.urls, "urls", 3000, "URLs")
	flag.IntVar(&o.caches, "caches", 2, "caches on the storage")
	flag.DurationVar(&o.restart, "restart", 5*time.Second, "time between restarts of the caches; 0: no restarts")
	forward := flag.Bool("forward-ranges", false, "let the cache forward ranges and store parts")
	flag.Parse()
	o.memory = *memory << 20
	if *forward {
		o.ranges = middleware.RangesForward
	}
	fmt.Printf("front %s, storage %s, %d caches, restart every %v, memory %d MiB, %d URLs, %d workers, seed %d, broken %q\n",
		o.front, o.storage, o.caches, o.restart, *memory, o.urls, o.workers, o.seed, o.broken)
	log.SetOutput(io.Discard) // net/http logs the faults of the origins
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	ok, err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}
