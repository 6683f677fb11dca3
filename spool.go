package cirque

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/cirquecache/cirque/internal/stream"
)

// asStreaming returns handler as one whose body can be read while it is written. Stores that stream
// give that themselves, and others who ask the store find the write; for all other stores the body
// is spooled in memory for the request that caused the fill, and streams is false.
func (o *CacheOptions) asStreaming(ctx context.Context, handler MissHandler) (writer StreamingMissHandler, streams bool) {
	if writer, ok := streamingHandler(o.Storage, handler); ok {
		return writer, true
	}
	return newSpool(ctx, handler, o.Spool), false
}

func newSpool(ctx context.Context, handler MissHandler, budget *Budget) *spool {
	return &spool{MissHandler: handler, body: stream.New(ctx, stream.Options{
		Reserve: budget.Reserve,
		Release: budget.Release,
	})}
}

// nowhere returns a writer that stores nothing: what is written goes to the reader that it is given
// before its body is unlinked.
func (o *CacheOptions) nowhere(ctx context.Context) *spool {
	for {
		if tag := Tag(rand.Uint64()); tag != 0 {
			writer := newSpool(ctx, discard{tag}, o.Spool)
			writer.gone = ErrUnlinked
			return writer
		}
	}
}

// discard is a MissHandler that keeps nothing.
type discard struct{ tag Tag }

// Write implements MissHandler.
func (discard) Write(p []byte) (int, error) { return len(p), nil }

// Finish implements MissHandler.
func (discard) Finish() (MissFinish, error) { return MissFinish{}, ErrUnlinked }

// Abort implements MissHandler.
func (discard) Abort() {}

// Tag implements MissHandler.
func (d discard) Tag() Tag { return d.tag }

// spool gives a store that does not stream the reader of its own write: the body goes into the
// store and, beside it, into memory, for as long as there is that reader. A store that fails or is
// not to have the body ends the storing, not the reading.
type spool struct {
	MissHandler
	body *stream.Buffer
	gone error // why the store gets no more of the body; nil: it gets all
}

// Write implements MissHandler.
func (s *spool) Write(p []byte) (int, error) {
	if s.gone == nil {
		if _, err := s.MissHandler.Write(p); err != nil {
			s.leaveStore(err)
		}
	}
	if s.body.Readers() > 0 {
		if n, err := s.body.Write(p); !errors.Is(err, ErrNoReaders) {
			return n, err
		}
	}
	s.body.Close() // nobody else can come: the memory goes back
	if s.gone != nil {
		return 0, ErrNoReaders
	}
	return len(p), nil
}

// leaveStore goes on for the reader alone, who paces the writing from now on.
func (s *spool) leaveStore(reason error) {
	if s.gone == nil {
		s.gone = reason
		s.MissHandler.Abort()
		s.body.Unlink()
	}
}

// Unlink implements StreamingMissHandler.
func (s *spool) Unlink() { s.leaveStore(ErrUnlinked) }

// Finish implements MissHandler.
func (s *spool) Finish() (done MissFinish, err error) {
	if err = s.gone; err == nil {
		done, err = s.MissHandler.Finish()
	}
	// The body is whole whatever the store says. Its reader sees the end when the store has it, so
	// that who asks next finds it.
	_ = s.body.Finish()
	s.body.Close()
	return done, err
}

// Abort implements MissHandler.
func (s *spool) Abort() {
	defer s.body.Close()
	s.MissHandler.Abort()
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
