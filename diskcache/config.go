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
	// MaxBytes limits the disk space that entries and writes under way take, in whole blocks of 4
	// KiB a file and half a KiB of bookkeeping each. Zero means 10 GiB; a negative number is an
	// error.
	MaxBytes int64

	// MinFreeBytes is what the store leaves free on its file system for others: below that it gives
	// up entries, and takes nothing new until there is room. Zero means that it uses the last byte;
	// a negative number is an error. It has no effect where the standard library cannot tell what
	// is free: on systems other than Linux, macOS and FreeBSD.
	MinFreeBytes int64

	// Eviction decides what leaves. Its limit should be MaxBytes. The store saves its state at
	// Close, loads it at Open, and tells it of the entries that it finds on disk. Nil: the default
	// policy of the package eviction.
	Eviction cirque.EvictionManager

	// Sync makes Finish and UpdateMeta wait until the disk has what they wrote. Without it, a power
	// cut or a crash of the operating system loses entries of the last seconds; a crash of the
	// process loses nothing that was finished.
	Sync bool

	// VerifyReads checks every byte against its checksum each time it is served. Without it, a body
	// is checked when this process first reads it, and again when its file has changed: what a disk
	// spoils after that, and without the file system knowing, is served.
	VerifyReads bool

	// MaxOpenFiles limits the files that are open at once to serve bodies above 64 KiB; requests
	// beyond that go on without the cache. Zero means 4096; a negative number is an error.
	MaxOpenFiles int

	// Window and StallTimeout are about writes that become unlinked: what is kept in memory for
	// their readers, in bytes, and how long one of them may hold up the others. Zero or less: 64
	// KiB and 30 seconds.
	Window       int64
	StallTimeout time.Duration

	// SlowAfter is how long the disk may take for one operation before the store counts it as
	// failing. Zero or less: 10 seconds.
	SlowAfter time.Duration

	// OnHealth is called with the reason when the store stops to use the disk, for reading or for
	// writing, and with nil when it goes on. It is called from goroutines of the store's, for
	// reading and writing perhaps at once, and must not call Close, which waits for it. Nil: nobody
	// is told; see Store.Err.
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
