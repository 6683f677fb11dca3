package cirque

import (
	"context"
	"errors"
	"io"

	"github.com/cirquecache/cirque/internal/stream"
)

var (
	// ErrNotFound says that the store holds no such entry, or not any more: a miss.
	ErrNotFound = errors.New("cirque: not found")

	// ErrUnlinked says that a write ended well for its readers and left nothing in the store,
	// because there was no room for it or it was unlinked.
	ErrUnlinked = stream.ErrUnlinked

	// ErrAborted is what readers of a partial write see when its writer gave up.
	ErrAborted = stream.ErrAborted

	// ErrNoReaders says that an unlinked write has nobody left to read it.
	ErrNoReaders = stream.ErrNoReaders

	// ErrSlowReader is what a reader sees that was dropped because it stalled: it held up an
	// unlinked write, or a large body whose memory was wanted.
	ErrSlowReader = stream.ErrSlowReader
)

// Tag tells one incarnation of an entry from the ones before and after it under the same key.
// It is unique within its store and never zero; zero stands for "none".
type Tag uint64

// PurgeType says why an entry is purged.
type PurgeType uint8

const (
	// PurgeInvalidation removes an entry that must not be served any more. It also voids every
	// write under way for the key, and, for a key without variance, for its variants.
	PurgeInvalidation PurgeType = iota + 1
	// PurgeEviction removes an entry to make room. Writes under way go on.
	PurgeEviction
)

// String returns the name of t.
func (t PurgeType) String() string {
	switch t {
	case PurgeInvalidation:
		return "Invalidation"
	case PurgeEviction:
		return "Eviction"
	}
	return "PurgeType(?)"
}

// Storage keeps responses. It is what every backend can do; what only some can do is an
// optional interface beside it ([StreamingStorage]).
//
// Implementations are safe for concurrent use. They may rely on a CacheKey being made by
// NewCacheKey and on a CacheMeta never changing once it was handed over; they must return metas
// that they will not change. Errors other than ErrNotFound mean that the backend failed: the caller
// goes on without the cache. The package storagetest checks every rule stated here.
//
// A Storage that limits itself does so through a [Budget], which evicts by calling Purge from
// within the store's own reservations.
type Storage interface {
	// Lookup returns the entry of key, or ErrNotFound. An entry whose key text
	// ([CacheKey.AppendIdentity]) differs from key's is not key's entry.
	// ctx lives as long as the HitHandler: cancelling it fails a blocked Read.
	Lookup(ctx context.Context, key CacheKey) (*CacheMeta, HitHandler, error)

	// MissHandler begins a write. Nothing is visible to Lookup before Finish, except to stores that
	// stream. Several writes for one key may be under way; the one that finishes last stays. ctx
	// covers the whole write. An error that wraps ErrUnlinked says that there is no room for it:
	// nothing failed, and the body goes to its readers all the same.
	MissHandler(ctx context.Context, key CacheKey, meta *CacheMeta, opts MissOptions) (MissHandler, error)

	// Purge removes the entry of key, or returns ErrNotFound. Readers that have it open finish with
	// it. An invalidation voids the writes under way too: see [PurgeInvalidation].
	Purge(ctx context.Context, key CompactCacheKey, typ PurgeType) error

	// UpdateMeta replaces the meta of the entry whose tag is tag, body untouched, as a 304 asks
	// (RFC 9111 §4.3.4). If the entry is gone or another has taken its place, it
	// changes nothing and returns ErrNotFound. The entry keeps its tag. Where Lookup finds writes
	// under way, their meta can be replaced as well.
	UpdateMeta(ctx context.Context, key CacheKey, meta *CacheMeta, tag Tag) error

	// Purges returns what all users of the Storage in this process share about purges: always the
	// same, never nil. The caller compares it with what Lookup returns, so that a Storage need not
	// look at it. One whose entries outlive the process has to keep it with them: see
	// [PurgeState.Restore]. One in front of others returns that of the one that keeps longest.
	Purges() *PurgeState
}

// MissOptions are facts about a write that help the store.
type MissOptions struct {
	// SizeHint is the body's expected length in bytes, or negative where it is unknown. It is a
	// hint: the body may turn out otherwise.
	SizeHint int64

	// Replaces is the tag of the entry this write began from (a revalidation answered in full), or
	// zero. If that entry is no longer in place at Finish, nothing is stored and Finish
	// returns ErrNotFound.
	Replaces Tag
}

// HitHandler reads one stored body. One goroutine at a time uses it; Close is the last call, and is
// owed.
//
// A hit may also be an io.WriterTo, which io.Copy finds; stores should offer it to hand out what they
// hold without copying. Its writer must not keep what it gets, as io.Writer says: the memory may
// belong to another entry after Close. The meta that came with the hit outlives it.
type HitHandler interface {
	// Read reads on from the current position. On a write still under way it blocks for more; it
	// ends with io.EOF only where the body ended well, and with an error that wraps ErrAborted
	// where the writer gave up.
	io.ReadCloser

	// Size returns the length of the whole body in bytes; known is false while that is open.
	Size() (n int64, known bool)

	// CanSeek reports whether SeekRange will work on this hit.
	CanSeek() bool

	// SeekRange makes the following reads yield the bytes [start, end) of the body and then io.EOF.
	// It may be called again, for the next part of a multipart answer. A range outside of the body
	// is an error and leaves the position alone; a hit that cannot seek returns
	// errors.ErrUnsupported.
	SeekRange(start, end int64) error

	// Tag returns the tag of the entry, for UpdateMeta and MissOptions.Replaces.
	Tag() Tag

	// Weight returns what the entry weighs against the eviction budget, in bytes: body, header
	// and bookkeeping.
	Weight() int64

	// CountsAccess reports whether this hit should be told to the EvictionManager. A write still
	// under way is not tracked yet and says false.
	CountsAccess() bool
}

// MissFinish says what a finished write left behind.
type MissFinish struct {
	// Appended is false where the write made a new entry of weight Size, and true where it added
	// Size to an entry that is there, up to Max (zero: no maximum).
	Appended  bool
	Size, Max int64
}

// MissHandler writes one body. One goroutine at a time uses it. Either Finish or Abort must be
// called; Abort after either does nothing, so that deferring it is safe. There is no Close, which
// could not tell a whole body from half of one.
//
// A MissHandler may also be an io.ReaderFrom, which [Fill.ReadFrom] finds; stores should offer it
// where a body can be read straight to where it is kept. It appends and publishes what each Read
// yields before the next. The reader may call Unlink. An error of the reader is returned and leaves
// the write open.
type MissHandler interface {
	// Write appends p, which stays the caller's. After an error the write can only be aborted.
	// A store that has no room for more does not fail: it unlinks (see [StreamingMissHandler]) or
	// discards, and says so at Finish.
	io.Writer

	// Finish makes the body visible as the entry of its key, atomically. It returns ErrNotFound if
	// a purge voided the write or Replaces is no longer in place, ErrUnlinked if there was no room;
	// nothing is stored then, while readers attached to the write still see its clean end.
	Finish() (MissFinish, error)

	// Abort gives up: nothing is stored, and readers attached to the write get ErrAborted.
	Abort()

	// Tag returns the tag that the entry will have.
	Tag() Tag
}

// StreamingStorage is a Storage whose writes can be read while they are under way, by any number of
// readers, each at its own pace. Its Lookup finds a linked write under way that is newer than the
// entry in place, and its MissHandlers are StreamingMissHandlers. An invalidation that voids a
// linked write has removed something and returns nil.
type StreamingStorage interface {
	Storage

	// LookupStreaming returns a hit on the linked write whose tag is tag while it is under way, or
	// on the entry it became while that is in place, or ErrNotFound. ctx is as for Lookup.
	LookupStreaming(ctx context.Context, key CacheKey, tag Tag) (*CacheMeta, HitHandler, error)
}

// StreamingMissHandler is the write side of a StreamingStorage.
//
// A write becomes unlinked when Unlink is called or when the Budget can't be met. From then on it
// takes no new readers and keeps no more than a bounded window of the body: the slowest of its
// readers paces Write, and is dropped with ErrSlowReader when it stalls for too long. When the last
// reader has left, Write returns ErrNoReaders. Finish returns ErrUnlinked.
type StreamingMissHandler interface {
	MissHandler

	// Unlink takes the write out of the store and lets its readers go on.
	Unlink()

	// NewReader attaches a reader to the write, from the body's first byte; once the write is
	// unlinked it returns ErrNotFound. A purge that voids the write does not stop it: who caused a
	// fill gets its answer. ctx is as for Lookup.
	NewReader(ctx context.Context) (HitHandler, error)

	// Readers returns how many readers are attached now.
	Readers() int
}
