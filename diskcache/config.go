package diskcache

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/cirquecache/cirque"
)

// Config configures a Store. The zero Config works.
type Config struct {
	// MaxBytes limits the disk space for entries and writes under way. Each file counts in whole
	// blocks of 4 KiB, plus 512 bytes of bookkeeping. Zero means 10 GiB; a negative number is an
	// error.
	MaxBytes int64

	// MinFreeBytes is the space on the file system that the store leaves free for others. When less
	// is free, the store evicts entries, and stores nothing new until there is room. Zero means
	// that the store may use the last byte; a negative number is an error. It has no effect on
	// systems other than Linux, macOS and FreeBSD, because the standard library cannot tell there
	// how much is free.
	MinFreeBytes int64

	// Eviction decides which entries leave. Its limit should be MaxBytes. The store saves the
	// manager's state at Close, loads it at Open, and tells the manager of the entries that it
	// finds on disk. Nil means the default policy of package eviction.
	Eviction cirque.EvictionManager

	// Sync makes Finish and UpdateMeta wait until their writes are on the disk. Without it, a power
	// cut or a crash of the operating system loses the entries of the last seconds. A crash of the
	// process loses nothing that was finished, with or without Sync.
	Sync bool

	// VerifyReads compares every byte with its checksum each time it is served. Without it, a body
	// is checked when this process first reads it, and again when its file has changed. If the disk
	// then damages the body and the file system does not notice, the damaged bytes are served.
	VerifyReads bool

	// MaxOpenFiles limits the files that are open at once to serve bodies above 64 KiB. A request
	// that would need one more goes on without the cache. Zero means 4096; a negative number is an
	// error.
	MaxOpenFiles int

	// Window and StallTimeout apply to writes that become unlinked. Window is how many bytes are
	// kept in memory for the readers of such a write, and StallTimeout is how long one reader may
	// hold up the others. Zero or less means 64 KiB and 30 seconds.
	Window       int64
	StallTimeout time.Duration

	// SlowAfter is how long the disk may take for one operation before the store counts it as
	// failing. Zero or less means 10 seconds.
	SlowAfter time.Duration

	// OnHealth is called with the reason when the store stops using the disk for reading or for
	// writing, and with nil when it uses the disk again. The store calls it from its own
	// goroutines, perhaps from two at once: one for reading and one for writing. OnHealth must not
	// call Close, because Close waits for it. If nil, nothing is called; see Store.Err.
	OnHealth func(error)
}

func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.MaxBytes < 0 {
		errs = append(errs, fmt.Errorf("diskcache: MaxBytes is %d; it must not be negative", c.MaxBytes))
	}
	if c.MinFreeBytes < 0 {
		errs = append(errs, fmt.Errorf("diskcache: MinFreeBytes is %d; it must not be negative", c.MinFreeBytes))
	}
	if c.MaxOpenFiles < 0 {
		errs = append(errs, fmt.Errorf("diskcache: MaxOpenFiles is %d; it must not be negative", c.MaxOpenFiles))
	}
	c.MaxBytes = cmp.Or(c.MaxBytes, 10<<30)
	c.MaxOpenFiles = cmp.Or(c.MaxOpenFiles, 4096)
	if c.SlowAfter <= 0 {
		c.SlowAfter = 10 * time.Second
	}
	if c.OnHealth == nil {
		c.OnHealth = func(error) {}
	}
	return c, errors.Join(errs...)
}
