// Command gen writes docs/conformance.md. go generate runs it in the directory above.
package main

import (
	"log"
	"os"
	"path/filepath"

	"github.com/cirquecache/cirque/internal/verify/conformance"
)

func main() {
	log.SetFlags(0)
	f, err := os.Create(filepath.Join("..", "..", "..", "docs", "conformance.md"))
	if err != nil {
		log.Fatal(err)
	}
	if err := conformance.WriteTable(f); err != nil {
		log.Fatal(err)
	}
	if err := f.Close(); err != nil {
		log.Fatal(err)
	}
}
