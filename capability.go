package cirque

import (
	"context"
	"errors"

	"github.com/cirquecache/cirque/internal/stream"
)

// asStreaming returns handler as one whose body can be read while it is written. Stores that stream
// give that themselves, and others who ask the store find the write; for all other stores the
// body is spooled in memory for the request that caused the fill, and streams is false.
func (o *CacheOptions) asStreaming(handler MissHandler) (writer StreamingMissHandler, streams bool) {
	if _, ok := o.Storage.(StreamingStorage); ok {
		if writer, ok := handler.(StreamingMissHandler); ok {
			return writer, true
		}
	}
	return &spool{MissHandler: handler, body: stream.New(context.Background(), stream.Options{
		Reserve: o.Spool.Reserve,
		Release: o.Spool.Release,
		Errors:  stream.Errors{Aborted: ErrAborted, Unlinked: ErrUnlinked, NoReaders: ErrNoReaders, SlowReader: ErrSlowReader},
	})}, false
}

// LookupStreaming finds a write under way, or the entry it became, by its tag, if storage can; errors.ErrUnsupported if
// it cannot.
func LookupStreaming(ctx context.Context, storage Storage, key CacheKey, tag Tag) (*CacheMeta, HitHandler, error) {
	if s, ok := storage.(StreamingStorage); ok {
		return s.LookupStreaming(ctx, key, tag)
	}
	return nil, nil, errors.ErrUnsupported
}

// spool gives a store that does not stream the reader of its own write: the body goes into the store and, beside it, into
// memory that is given back as it is read. A failing store ends the storing, not the reading.
type spool struct {
	MissHandler
	body     *stream.Buffer
	unlinked bool
	failed   error // what the store said first; nothing is written to it any more
	unread   bool  // the body has no reader left; only the store gets the rest
}

// Write implements MissHandler.
func (s *spool) Write(p []byte) (int, error) {
	if s.failed == nil && !s.unlinked {
		if _, err := s.MissHandler.Write(p); err != nil {
			s.failed = err
			s.MissHandler.Abort()
		}
	}
	if !s.unread {
		n, err := s.body.Write(p)
		if !errors.Is(err, ErrNoReaders) || s.failed != nil || s.unlinked {
			return n, err
		}
		s.unread = true
	}
	return len(p), s.failed
}

// Finish implements MissHandler.
func (s *spool) Finish() (MissFinish, error) {
	var done MissFinish
	err := s.failed
	switch {
	case s.unlinked:
		err = ErrUnlinked
	case err == nil:
		done, err = s.MissHandler.Finish()
	}
	// The body is whole whatever the store says; only then may its readers see the end.
	_ = s.body.Finish()
	s.body.Close()
	return done, err
}

// Abort implements MissHandler.
func (s *spool) Abort() {
	s.MissHandler.Abort()
	s.body.Abort(ErrAborted)
	s.body.Close()
}

// Unlink implements StreamingMissHandler.
func (s *spool) Unlink() {
	if !s.unlinked {
		s.unlinked = true
		s.MissHandler.Abort()
		s.body.Unlink()
	}
}

// NewReader implements StreamingMissHandler.
func (s *spool) NewReader(ctx context.Context) (HitHandler, error) {
	r, err := s.body.NewReader(ctx)
	if err != nil {
		return nil, err
	}
	return &spoolReader{Reader: r, tag: s.Tag()}, nil
}

// Readers implements StreamingMissHandler.
func (s *spool) Readers() int { return s.body.Readers() }

// spoolReader reads a spool's body.
type spoolReader struct {
	*stream.Reader
	tag Tag
}

// Tag implements HitHandler.
func (r *spoolReader) Tag() Tag { return r.tag }

// Weight implements HitHandler.
func (r *spoolReader) Weight() int64 { return 0 }

// CountsAccess implements HitHandler: a write under way is not tracked.
func (r *spoolReader) CountsAccess() bool { return false }
