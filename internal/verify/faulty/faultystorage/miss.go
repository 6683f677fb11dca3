package faultystorage

import (
	"context"

	"github.com/cirquecache/cirque"
)

// miss wraps a MissHandler; it embeds the methods that cannot fail.
type miss struct {
	cirque.MissHandler
	ctx   context.Context // of the write
	key   cirque.CacheKey
	tally *Tally
}

func (t *Tally) wrapMiss(ctx context.Context, base cirque.MissHandler, key cirque.CacheKey) cirque.MissHandler {
	m := &miss{base, ctx, key, t}
	t.opened(m, "write of "+key.Primary())
	if streaming, ok := base.(cirque.StreamingMissHandler); ok {
		return &streamingMiss{m, streaming}
	}
	return m
}

func (m *miss) Write(p []byte) (int, error) {
	fault, err := m.tally.strike(m.ctx, MissWrite)
	if err == nil {
		return m.MissHandler.Write(p)
	}
	n := 0
	if fault.Partial > 0 {
		n, _ = m.MissHandler.Write(p[:min(fault.Partial, len(p))])
	}
	return n, err
}

// Finish aborts the write if it fails, because a caller need not call Abort after Finish. A panic
// leaves the write open.
func (m *miss) Finish() (cirque.MissFinish, error) {
	_, err := m.tally.strike(m.ctx, MissFinish)
	m.tally.done(m)
	if err != nil {
		m.MissHandler.Abort()
		return cirque.MissFinish{}, err
	}
	return m.MissHandler.Finish()
}

// Abort always aborts the wrapped write, so that only a caller that never calls Abort leaks it.
func (m *miss) Abort() {
	m.tally.done(m)
	defer m.MissHandler.Abort()
	m.tally.strike(m.ctx, MissAbort)
}

type streamingMiss struct {
	*miss
	streaming cirque.StreamingMissHandler
}

func (m *streamingMiss) Unlink()      { m.streaming.Unlink() }
func (m *streamingMiss) Readers() int { return m.streaming.Readers() }

func (m *streamingMiss) NewReader(ctx context.Context) (cirque.HitHandler, error) {
	if _, err := m.tally.strike(ctx, MissNewReader); err != nil {
		return nil, err
	}
	reader, err := m.streaming.NewReader(ctx)
	return m.tally.wrapHit(ctx, reader, m.key), err
}
