package cirque

import (
	"context"
	"errors"
	"io"

	"github.com/cirquecache/cirque/internal/stream"
)

var (
	// ErrNotFound means that the Storage has no such entry, or no longer has it: a miss.
	ErrNotFound = errors.New("cirque: not found")

	// ErrUnlinked means that a write ended well for its readers and left nothing in the Storage,
	// because there was no room for it or it was unlinked.
	ErrUnlinked = stream.ErrUnlinked

	// ErrAborted is what the readers of a write get when its writer gives up.
	ErrAborted = stream.ErrAborted

	// ErrNoReaders means that an unlinked write has no readers left.
	ErrNoReaders = stream.ErrNoReaders

	// ErrSlowReader is what a reader gets that was dropped because it stalled: it held up an
	// unlinked write, or kept the memory of a large body that was needed.
	ErrSlowReader = stream.ErrSlowReader
)

// Tag identifies one incarnation of an entry, among those before and after it under the same key.
// It is unique within its Storage and never zero; zero means "none".
type Tag uint64

// PurgeType says why an entry is purged.
type PurgeType uint8

const (
	// PurgeInvalidation removes an entry that must no longer be served. It also voids every write
	// under way for the key and, if the key has no variance, for its variants.
	PurgeInvalidation PurgeType = iota + 1
	// PurgeEviction removes an entry to make room. Writes under way go on.
	PurgeEviction
)

// Storage keeps responses. It has what every backend can do. What only some can do are optional
// interfaces: [StreamingStorage], [HoldingStorage], [BudgetedStorage].
//
// Implementations are safe for concurrent use. They may rely on each CacheKey being made by
// NewCacheKey, and on a CacheMeta that they are given never changing. They must not change a
// CacheMeta that they have returned. An error other than ErrNotFound means that the backend failed:
// the caller goes on without the cache. Package storagetest checks every rule stated here.
//
// A Storage that limits itself does so with a [Budget], which evicts by calling Purge during the
// Storage's own reservations.
type Storage interface {
	// Lookup returns the entry of key, or ErrNotFound. An entry whose key text
	// ([CacheKey.AppendIdentity]) differs from key's is not key's entry. ctx lives as long as the
	// HitHandler: cancelling it fails a blocked Read.
	Lookup(ctx context.Context, key CacheKey) (*CacheMeta, HitHandler, error)

	// MissHandler begins a write. Lookup does not find the write before Finish, unless the Storage
	// streams. Several writes for one key may be under way; the one that finishes last stays. ctx
	// covers the whole write. An error that wraps ErrUnlinked means that there is no room: nothing
	// failed, and the body still goes to its readers.
	MissHandler(ctx context.Context, key CacheKey, meta *CacheMeta, opts MissOptions) (MissHandler, error)

	// Purge removes the entry of key, or returns ErrNotFound. Readers that have the entry open can
	// read it to its end. An invalidation also voids writes under way: see [PurgeInvalidation].
	Purge(ctx context.Context, key CompactCacheKey, typ PurgeType) error

	// UpdateMeta replaces the meta of the entry with this tag after a 304 (RFC 9111 §4.3.4). The
	// entry keeps its body and its tag. If the entry is gone or another has taken its place,
	// UpdateMeta changes nothing and returns ErrNotFound. If Lookup finds writes under way,
	// UpdateMeta must be able to replace their meta too.
	UpdateMeta(ctx context.Context, key CacheKey, meta *CacheMeta, tag Tag) error

	// Purges returns the PurgeState that all users of the Storage in this process share. It is
	// always the same one, never nil. The caller checks the result of Lookup against it, so the
	// Storage need not. A Storage whose entries outlive the process must keep the purges with them:
	// see [PurgeState.Restore]. A Storage in front of others returns the PurgeState of the one that
	// keeps entries longest.
	Purges() *PurgeState
}

// MissOptions are facts about a write that help the Storage.
type MissOptions struct {
	// SizeHint is the expected length of the body in bytes; negative means unknown. The body may
	// turn out longer or shorter.
	SizeHint int64

	// Replaces is the tag of the entry that the write is based on, or zero. If that entry is no
	// longer in place at Finish, nothing is stored and Finish returns ErrNotFound.
	Replaces Tag
}

// HitHandler reads one stored body. One goroutine at a time may use it. Close must be called, as
// the last call.
//
// A HitHandler may also be an io.WriterTo, which io.Copy uses. A Storage should offer it if it can
// hand out what it holds without copying. The writer must not keep the bytes that it gets, as
// io.Writer says: after Close the memory may belong to another entry. The meta that came with the
// hit stays valid after Close.
type HitHandler interface {
	// Read reads on from the current position. On a write under way it blocks until there is more.
	// It returns io.EOF only if the body ended well, and an error that wraps ErrAborted if the
	// writer gave up.
	io.ReadCloser

	// Size returns the length of the whole body in bytes. known is false until that is certain.
	Size() (n int64, known bool)

	// CanSeek reports whether SeekRange will work on this hit.
	CanSeek() bool

	// SeekRange makes the next reads return the bytes [start, end) of the body and then io.EOF. It
	// may be called again, for the next part of a multipart answer. For a range outside of the body
	// it returns an error and keeps the position. If the hit cannot seek, it returns
	// errors.ErrUnsupported.
	SeekRange(start, end int64) error

	// Tag returns the tag of the entry, for UpdateMeta and MissOptions.Replaces.
	Tag() Tag

	// Weight returns the weight of the entry for the EvictionManager, in bytes: body, header and
	// bookkeeping.
	Weight() int64

	// CountsAccess reports whether the EvictionManager should be told of this hit. It is false for
	// a write under way, which is not tracked yet.
	CountsAccess() bool
}

// MissFinish says how the Storage has changed by a finished write.
type MissFinish struct {
	// If Appended is false, the write made a new entry of weight Size, in bytes. If it is true, the
	// write added Size to the weight of an existing entry, up to Max; zero is no maximum.
	Appended  bool
	Size, Max int64
}

// MissHandler writes one body. One goroutine at a time may use it. Either Finish or Abort must be
// called. Abort after either does nothing, so it may be deferred. There is no Close, which could
// not tell a whole body from half of one.
//
// A MissHandler may also be an io.ReaderFrom, which [Fill.ReadFrom] uses. A Storage should offer it
// if it can read a body straight to where the body is kept. ReadFrom appends the bytes of each
// Read, and shows them to readers, before the next Read. The source may call Unlink. ReadFrom
// returns the error of the source, and writing may continue after it.
type MissHandler interface {
	// Write appends p, which stays the caller's. After an error the write can only be aborted. A
	// Storage without room for more returns no error: it unlinks the write (see
	// [StreamingMissHandler]) or discards it, and Finish returns ErrUnlinked.
	io.Writer

	// Finish makes the body the entry of its key, atomically. It returns ErrNotFound if a purge
	// voided the write or Replaces is no longer in place, and ErrUnlinked if there was no room.
	// Then nothing is stored, but the readers of the write still see its clean end.
	Finish() (MissFinish, error)

	// Abort gives up: nothing is stored, and the readers of the write get ErrAborted.
	Abort()

	// Tag returns the tag that the entry will have.
	Tag() Tag
}

// StreamingStorage is a Storage whose writes can be read while they are under way, by any number of
// readers, each at its own pace. Its Lookup finds a linked write under way that is newer than the
// entry in place. Its MissHandlers are StreamingMissHandlers. An invalidation that voids a linked
// write has removed something, so it returns nil.
type StreamingStorage interface {
	Storage

	// LookupStreaming returns a hit on the linked write with this tag while it is under way, then
	// on its entry while that is in place, else ErrNotFound. ctx is as for Lookup.
	LookupStreaming(ctx context.Context, key CacheKey, tag Tag) (*CacheMeta, HitHandler, error)
}

// StreamingMissHandler is the write side of a StreamingStorage.
//
// A write becomes unlinked when Unlink is called or when the Budget refuses it room. From then on
// it takes no new readers and keeps only a bounded window of the body. The slowest reader paces
// Write, and is dropped with ErrSlowReader if it stalls for too long. When the last reader has
// left, Write returns ErrNoReaders. Finish returns ErrUnlinked.
type StreamingMissHandler interface {
	MissHandler

	// Unlink takes the write out of the Storage. Its readers can read on.
	Unlink()

	// NewReader attaches a reader to the write, from the first byte of the body. Once the write is
	// unlinked, it returns ErrNotFound. It still works if a purge voided the write, so that the
	// request that caused a fill gets its answer. ctx is as for Lookup.
	NewReader(ctx context.Context) (HitHandler, error)

	// Readers returns how many readers are attached now.
	Readers() int
}

// HoldingStorage is a Storage that knows which of its entries are being read. For other Storages, a
// [Budget] assumes that evicting everything its EvictionManager tracks frees all of it.
type HoldingStorage interface {
	Storage

	// Held returns the weight, in bytes, of the entries in place that readers have open. Evicting
	// them frees nothing until the readers close them. Small entries may be left out. It must be
	// cheap.
	Held() int64
}

// BudgetedStorage is a Storage that is limited by Budgets.
type BudgetedStorage interface {
	Storage

	// Budgets returns them. If there are several, a response may be stored under one of them alone,
	// so the largest limit is that of the Storage. A nil *Budget has no limit. The slice is the
	// caller's.
	Budgets() []*Budget
}
