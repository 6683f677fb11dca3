package state

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// A saved state is a directory of parts, each a file on its own feet: a header, records, and the xxhash of all that. The
// hash finds damage; it is no protection against somebody who may write the directory.
//
// The header is magic, version, and three things that say what the part belongs to: the policy, and how
// many parts there are.
const (
	magic    = "cirque eviction\n"
	version  = 1
	suffix   = ".eviction"
	tempMark = ".tmp"
	sumSize  = 8

	// MaxParts is the most parts a state may have.
	MaxParts = 1 << 16
)

// Name returns the file name of a part.
func Name(part int) string { return fmt.Sprintf("%05d%s", part, suffix) }

// number is the inverse of Name.
func number(name string) (part int, ok bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return 0, false
	}
	part, err := strconv.Atoi(digits)
	return part, err == nil && part >= 0 && Name(part) == name
}

// Header is the same in all parts.
type Header struct {
	Policy string
	Parts  int
}

// Writer writes a part to a temporary file.
type Writer struct {
	file *os.File
	sum  *xxhash.Digest
	out  *bufio.Writer // to file and sum
	rank uint64
	buf  []byte
}

// Create begins a part in a temporary file in dir. Either Close or Discard must be called.
func Create(dir string) (*Writer, error) {
	f, err := os.CreateTemp(dir, "*"+tempMark+suffix) // readable by its owner only
	if err != nil {
		return nil, err
	}
	w := &Writer{file: f, sum: xxhash.New()}
	w.out = bufio.NewWriter(io.MultiWriter(f, w.sum))
	return w, nil
}

// Begin writes the header; once, before the first record.
func (w *Writer) Begin(h Header) error {
	b := append(w.buf[:0], magic...)
	b = append(b, version)
	b = binary.AppendUvarint(b, uint64(len(h.Policy)))
	b = append(b, h.Policy...)
	b = binary.AppendUvarint(b, uint64(h.Parts))
	_, err := w.out.Write(b)
	return err
}

// Write writes a record. A rank below that of the record before is raised to it.
func (w *Writer) Write(r Record) error {
	r.Rank = max(r.Rank, w.rank)
	w.buf = r.appendTo(w.buf[:0], w.rank)
	w.rank = r.Rank
	_, err := w.out.Write(w.buf)
	return err
}

// Close ends the part and returns the name of its file, which is complete but not in place.
func (w *Writer) Close() (file string, err error) {
	w.out.WriteByte(0)
	if err = w.out.Flush(); err == nil {
		_, err = w.file.Write(binary.LittleEndian.AppendUint64(nil, w.sum.Sum64()))
	}
	// No fsync: a power failure may damage the part, and the checksum will tell. What is lost then is an
	// order, not data.
	if e := w.file.Close(); err == nil {
		err = e
	}
	if err != nil {
		os.Remove(w.file.Name())
		return "", err
	}
	return w.file.Name(), nil
}

// Discard gives the part up.
func (w *Writer) Discard() {
	w.file.Close()
	os.Remove(w.file.Name())
}

// Install puts finished files in place as parts of dir, in their order, and removes the parts an earlier save left beyond.
func Install(dir string, files []string) error {
	for i, file := range files {
		if err := os.Rename(file, filepath.Join(dir, Name(i))); err != nil {
			return err
		}
	}
	return remove(dir, func(name string) bool {
		part, ok := number(name)
		return ok && part >= len(files)
	})
}

// RemoveTemporary removes what saves have left that did not come to their end.
func RemoveTemporary(dir string) error {
	return remove(dir, func(name string) bool { return strings.HasSuffix(name, tempMark+suffix) })
}

func remove(dir string, is func(name string) bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if is(e.Name()) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// Reader reads a part.
type Reader struct {
	Header
	in   input
	rank uint64
	file io.Closer
}

// Open opens the part in a file and checks it from end to end. Close is owed where there is no error.
func Open(file string) (*Reader, error) {
	if info, err := os.Lstat(file); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w: not a regular file", file, ErrDamaged) // opening a FIFO would wait for a writer
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	r, err := open(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	r.file = f
	return r, nil
}

func open(f *os.File) (*Reader, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: not a regular file", ErrDamaged)
	}
	return newReader(f, info.Size())
}

// newReader checks the size bytes of f and reads the header.
func newReader(f io.ReaderAt, size int64) (*Reader, error) {
	size -= sumSize
	if size < 0 {
		return nil, fmt.Errorf("%w: it ends too early", ErrDamaged)
	}
	sum := xxhash.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, size)); err != nil {
		return nil, err
	}
	var want [sumSize]byte
	if _, err := f.ReadAt(want[:], size); err != nil {
		return nil, err
	}
	if sum.Sum64() != binary.LittleEndian.Uint64(want[:]) {
		return nil, fmt.Errorf("%w: the checksum is wrong", ErrDamaged)
	}

	r := &Reader{in: input{r: bufio.NewReader(io.NewSectionReader(f, 0, size)), left: size}}
	start := make([]byte, len(magic))
	r.in.full(start)
	if string(start) != magic {
		return nil, fmt.Errorf("%w: it is something else", ErrDamaged)
	}
	if v := r.in.byte(); r.in.err == nil && v != version {
		return nil, fmt.Errorf("written in version %d of the format; this is version %d", v, version)
	}
	r.Policy = r.in.text()
	r.Parts = int(r.in.uvarint(MaxParts))
	return r, r.in.err
}

// Next returns the next record; io.EOF after the last.
func (r *Reader) Next() (rec Record, err error) {
	more, err := rec.read(&r.in, r.rank)
	if err == nil && !more {
		err = io.EOF
	}
	r.rank = rec.Rank
	return rec, err
}

// Close closes the file.
func (r *Reader) Close() error { return r.file.Close() }
