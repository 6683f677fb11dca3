package main

import (
	"testing"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/conformance/conformancetest"
)

// A cache with this store keeps the rules of HTTP caching, as with any other store.
func TestConformance(t *testing.T) {
	conformancetest.Run(t, conformancetest.Options{
		Doors:   conformancetest.OneOfEach,
		Storage: func() (cirque.Storage, error) { return newStore(), nil },
		NoSeek:  true, // compressed bodies are read from their start
	})
}
