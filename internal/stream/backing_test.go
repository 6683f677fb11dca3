package stream

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// file is a Backing in memory that takes limit bytes.
type file struct {
	mu      sync.Mutex
	body    []byte
	limit   int
	readErr error
	drops   int
}

var errFull = errors.New("full")

func (f *file) Append(p []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.body)+len(p) > f.limit {
		return errFull
	}
	f.body = append(f.body, p...)
	return nil
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readErr != nil {
		return 0, f.readErr
	}
	if f.drops > 0 {
		return 0, errors.New("read after Drop")
	}
	return bytes.NewReader(f.body).ReadAt(p, off)
}

func (f *file) Drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drops++
}

func (f *file) dropped() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.drops
}

func TestBufferWithBackingTakesNoMemory(t *testing.T) {
	a := &account{limit: 0}
	opts := a.options()
	f := &file{limit: 1 << 20}
	opts.Backing = f
	b := New(t.Context(), opts)
	body := pattern(300_000)
	early := newReader(t, b)
	write(t, b, body[:1000])
	require.Equal(t, body[:1000], readFull(t, early, 1000))
	write(t, b, body[1000:])
	require.NoError(t, b.Finish(), "no memory was reserved")
	late := newReader(t, b)
	require.NoError(t, late.SeekRange(100_000, 250_000))
	require.Equal(t, body[100_000:250_000], readAll(t, late))
	require.ErrorIs(t, late.SeekRange(0, 300_001), ErrRange)

	b.Close()
	require.Zero(t, f.dropped(), "readers are left")
	var rest bytes.Buffer
	_, err := early.WriteTo(&rest)
	require.NoError(t, err)
	require.True(t, bytes.Equal(body[1000:], rest.Bytes()))
	late.Close()
	early.Close()
	early.Close()
	require.Equal(t, 1, f.dropped())
}

// When the backing fails, readers still get the whole body: its first part from the backing, which
// is dropped once they have read that part.
func TestReadersGetTheWholeBodyWhenTheBackingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{limit: 400_000}
		b := New(t.Context(), Options{Backing: f})
		body := pattern(1 << 20)
		ahead, behind := newReader(t, b), newReader(t, b)
		result := pump(b, body, 3000)
		synctest.Wait()
		require.True(t, b.Unlinked())
		require.LessOrEqual(t, b.Size(), int64(f.limit)+DefaultWindow, "the writer waits for the readers")
		require.Equal(t, body[:b.Size()], readFull(t, ahead, int(b.Size())))
		require.Equal(t, body[:1000], readFull(t, behind, 1000))
		require.Zero(t, f.dropped())

		var wg sync.WaitGroup
		for from, r := range map[int]*Reader{int(b.Size()): ahead, 1000: behind} {
			wg.Go(func() {
				var got bytes.Buffer
				_, err := r.WriteTo(&got)
				require.NoError(t, err)
				require.True(t, bytes.Equal(body[from:], got.Bytes()))
			})
		}
		require.NoError(t, <-result)
		synctest.Wait()
		require.Equal(t, 1, f.dropped(), "it is dropped while the write goes on")
		require.ErrorIs(t, b.Finish(), ErrUnlinked)
		b.Close()
		wg.Wait()
		ahead.Close()
		behind.Close()
		require.Equal(t, 1, f.dropped())
	})
}

func TestUnlinkedBackingIsDroppedWhenItsReadersHaveReadIt(t *testing.T) {
	f := &file{limit: 1 << 20}
	b := New(t.Context(), Options{Backing: f})
	r := newReader(t, b)
	write(t, b, pattern(1000))
	readFull(t, r, 999)
	b.Unlink()
	require.Zero(t, f.dropped())
	readFull(t, r, 1)
	require.Equal(t, 1, f.dropped())
	write(t, b, []byte("more"))
	require.Equal(t, []byte("more"), readFull(t, r, 4))
	b.Abort(nil)
	require.Equal(t, 1, f.dropped())
}

func TestReaderThatStallsInTheBackingIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &file{limit: 1 << 20}
		b := New(t.Context(), Options{Backing: f})
		body := pattern(2 << 20)
		r := newReader(t, b)
		result := pump(b, body, 64<<10)
		synctest.Wait()
		require.ErrorIs(t, <-result, ErrNoReaders, "the reader never read")
		_, err := r.Read(make([]byte, 1))
		require.ErrorIs(t, err, ErrSlowReader)
		b.Abort(nil)
		require.Equal(t, 1, f.dropped())
	})
}

func TestUnreadableBackingFailsTheReader(t *testing.T) {
	broken := errors.New("broken")
	for _, test := range []struct {
		name string
		harm func(*file)
		want error
	}{
		{"error", func(f *file) { f.readErr = broken }, broken},
		{"truncated", func(f *file) { f.body = nil }, io.ErrUnexpectedEOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &file{limit: 1 << 20}
			b := New(t.Context(), Options{Backing: f})
			defer b.Close()
			write(t, b, pattern(1000))
			require.NoError(t, b.Finish())
			test.harm(f)
			_, err := newReader(t, b).Read(make([]byte, 10))
			require.ErrorIs(t, err, test.want)
			_, err = newReader(t, b).WriteTo(io.Discard)
			require.ErrorIs(t, err, test.want)
		})
	}
}
