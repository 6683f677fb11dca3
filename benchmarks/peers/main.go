// Peers asks several HTTP caches the same questions, over loopback connections, and prints their
// answers as a table. It measures what they do, not how fast they are.
//
//	go run .
//
// It asks Cirque and github.com/gregjones/httpcache, each around an httputil.ReverseProxy. If nginx
// and varnishd are installed, it asks them too: it starts them on free ports and stops them again.
// peers.go says how each is set up.
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"strings"
)

func main() {
	if err := compare(os.Stdout, peers()); err != nil {
		log.Fatal(err)
	}
}

// compare prints a table in Markdown: a line for each check, a column for each peer.
func compare(w io.Writer, peers []peer) error {
	origin, err := startOrigin()
	if err != nil {
		return err
	}
	defer origin.close()
	head, rule := "|", "|---|"
	rows := make([]string, len(checks))
	for i, check := range checks {
		rows[i] = "| " + check.question + " |"
	}
	for _, peer := range peers {
		cache, err := peer.start(origin.addr)
		if err != nil {
			return fmt.Errorf("%s: %w", peer.name, err)
		}
		if err := cache.ready(); err != nil {
			cache.stop()
			return fmt.Errorf("%s: %w", peer.name, err)
		}
		head += " | " + peer.name
		rule += "---|"
		for i, check := range checks {
			// Each peer has its own paths, so that the origin counts the requests of each peer
			// separately.
			rows[i] += " " + check.ask(&question{cache.url, fmt.Sprintf("/%s/%d", strings.ReplaceAll(peer.name, " ", "-"), i), origin}) + " |"
		}
		cache.stop()
	}
	_, err = fmt.Fprintf(w, "%s |\n%s\n%s\n", head, rule, strings.Join(rows, "\n"))
	return err
}
