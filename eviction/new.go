package eviction

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cirquecache/cirque"
)

// Default is the name of the policy to use unless there is a reason for another.
const Default = "gdsf"

type policy struct {
	name string
	new  func(Config) (cirque.EvictionManager, error)
}

// policies are in the order in which Names lists them.
var policies = []policy{
	{"gdsf", func(c Config) (cirque.EvictionManager, error) { return made(NewGDSF(GDSFConfig{Config: c})) }},
	{"lru", func(c Config) (cirque.EvictionManager, error) { return made(NewLRU(LRUConfig{Config: c})) }},
	{"simple-lru", func(c Config) (cirque.EvictionManager, error) { return made(NewSimpleLRU(c)) }},
	{"fifo", func(c Config) (cirque.EvictionManager, error) { return made(NewFIFO(c)) }},
	{"s3-fifo", func(c Config) (cirque.EvictionManager, error) { return made(NewS3FIFO(c)) }},
	{"sieve", func(c Config) (cirque.EvictionManager, error) { return made(NewSIEVE(c)) }},
}

// New returns an empty manager that limits its entries to limit bytes. name is that of its policy
// (see [Names]; "" is [Default]), which has its default settings.
func New(name string, limit int64) (cirque.EvictionManager, error) {
	if name == "" {
		name = Default
	}
	for _, p := range policies {
		if p.name == name {
			return p.new(Config{Limit: limit})
		}
	}
	return nil, fmt.Errorf("eviction: no policy %q; there are %s", name, strings.Join(Names(), ", "))
}

// made returns a nil interface, and not a nil pointer in an interface, if there is an error.
func made[M cirque.EvictionManager](m M, err error) (cirque.EvictionManager, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Names returns the names that [New] knows, sorted.
func Names() []string {
	names := make([]string, len(policies))
	for i, p := range policies {
		names[i] = p.name
	}
	slices.Sort(names)
	return names
}
