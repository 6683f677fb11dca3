package tiered

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/cirquecache/cirque"
)

// A body in the upper Storage begins with a label. The label holds the entry's tag in the tier, and
// whether the entry was written to the upper Storage alone. A copy ends with a trailer: the weight
// of the entry in the lower Storage, or zero if that entry is gone.
const (
	labelSize  = 8 + 1
	weightSize = 8
)

func label(tag cirque.Tag, alone bool) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, labelSize), uint64(tag))
	if alone {
		return append(b, 1)
	}
	return append(b, 0)
}

func trailer(weight int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(weight)) }

// upperHit is a hit on the upper Storage that hides label and trailer. It must not be read if it is
// on a copy under way.
type upperHit struct {
	cirque.HitHandler
	tag    cirque.Tag
	alone  bool
	around int64 // size of label and trailer
	weight int64

	buf [labelSize]byte
}

var (
	errRange  = errors.New("tiered: range outside of the body")
	errNoSeek = errors.New("tiered: hits on the upper storage cannot seek")
)

// newUpperHit returns a hit that hides label and trailer. It closes hit if it fails.
func newUpperHit(hit cirque.HitHandler) (*upperHit, error) {
	h := &upperHit{HitHandler: hit}
	if err := h.open(); err != nil {
		hit.Close()
		return nil, err
	}
	return h, nil
}

// open reads label and trailer, and moves to the start of the body.
func (h *upperHit) open() error {
	if _, err := io.ReadFull(h.HitHandler, h.buf[:]); err != nil {
		return err
	}
	h.tag = cirque.Tag(binary.LittleEndian.Uint64(h.buf[:]))
	h.alone = h.buf[labelSize-1] != 0
	h.around = labelSize
	h.weight = h.HitHandler.Weight()
	if h.alone || h.underWay() {
		return nil
	}
	h.around += weightSize
	size, _ := h.HitHandler.Size()
	if !h.CanSeek() {
		return errNoSeek
	}
	if err := h.HitHandler.SeekRange(size-weightSize, size); err != nil {
		return err
	}
	if _, err := io.ReadFull(h.HitHandler, h.buf[:weightSize]); err != nil {
		return err
	}
	if weight := int64(binary.LittleEndian.Uint64(h.buf[:])); weight != 0 {
		h.weight = weight
	}
	return h.SeekRange(0, size-h.around)
}

// underWay reports whether the hit is on a write that has not finished.
func (h *upperHit) underWay() bool { return !h.CountsAccess() }

func (h *upperHit) Tag() cirque.Tag { return h.tag }

func (h *upperHit) Weight() int64 { return h.weight }

func (h *upperHit) Size() (n int64, known bool) {
	n, known = h.HitHandler.Size()
	return n - h.around, known
}

func (h *upperHit) SeekRange(start, end int64) error {
	if size, known := h.Size(); start < 0 || known && end > size {
		return errRange
	}
	return h.HitHandler.SeekRange(labelSize+start, labelSize+end)
}

// WriteTo implements [io.WriterTo].
func (h *upperHit) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, h.HitHandler) }
