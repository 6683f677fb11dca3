package cirque

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/cirquecache/cirque/internal/stream"
)

// asStreaming returns handler as one whose body can be read while it is written. If the Storage
// streams, that is handler itself, and other requests find the write too. Else streams is false,
// and the body is also kept in memory for the request that caused the fill.
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

// nowhere returns a writer that stores nothing. The body goes to the reader that is attached before
// the body is unlinked.
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

// spool makes a write to a Storage that does not stream readable. The body goes into the Storage
// and, as long as there is a reader, also into memory. If the Storage fails, or the write is
// unlinked, only the storing ends and the reader reads on.
type spool struct {
	MissHandler
	body *stream.Buffer
	gone error // why the Storage gets no more of the body; nil: it gets all
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
	s.body.Close() // there is no reader and there will be none, so the memory is freed
	if s.gone != nil {
		return 0, ErrNoReaders
	}
	return len(p), nil
}

// leaveStore ends the storing for this reason. From now on the reader paces the writing.
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
	// The body is whole even if the Storage failed. Its reader sees the end only after the Storage
	// has the body, so that the next request of that client finds it.
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

// CountsAccess implements HitHandler.
func (r *spoolReader) CountsAccess() bool { return false }
