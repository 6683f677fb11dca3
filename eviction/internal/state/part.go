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

// A saved state is a directory of parts. Each part is a file that can be read on its own: a header,
// records, and the xxhash of both. The hash finds damage; it does not protect against somebody who
// may write to the directory.
//
// The header is the magic, the version, the name of the policy and the number of parts.
const (
	magic    = "cirque eviction\n"
	version  = 1
	suffix   = ".eviction"
	tempMark = ".tmp"
	sumSize  = 8

	// MaxParts is the most parts that a state may have.
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

// Begin writes the header. It must be called once, before the first record.
func (w *Writer) Begin(h Header) error {
	b := append(w.buf[:0], magic...)
	b = append(b, version)
	b = binary.AppendUvarint(b, uint64(len(h.Policy)))
	b = append(b, h.Policy...)
	b = binary.AppendUvarint(b, uint64(h.Parts))
	_, err := w.out.Write(b)
	return err
}

// Write writes a record. A rank below that of the previous record is raised to it.
func (w *Writer) Write(r Record) error {
	r.Rank = max(r.Rank, w.rank)
	w.buf = r.appendTo(w.buf[:0], w.rank)
	w.rank = r.Rank
	_, err := w.out.Write(w.buf)
	return err
}

// Close ends the part and returns the name of its file. The file is complete but not yet in place;
// see [Install].
func (w *Writer) Close() (file string, err error) {
	w.out.WriteByte(0)
	if err = w.out.Flush(); err == nil {
		_, err = w.file.Write(binary.LittleEndian.AppendUint64(nil, w.sum.Sum64()))
	}
	// No fsync: a power failure may damage the part, but the checksum detects that. What is lost
	// then is an order, not data.
	if e := w.file.Close(); err == nil {
		err = e
	}
	if err != nil {
		os.Remove(w.file.Name())
		return "", err
	}
	return w.file.Name(), nil
}

// Discard closes and removes the temporary file.
func (w *Writer) Discard() {
	w.file.Close()
	os.Remove(w.file.Name())
}

// Install makes finished files the parts of dir, in their order, and removes the surplus parts of
// an earlier save.
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

// RemoveTemporary removes the files of saves that did not finish.
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

// Open opens the part in file and verifies its checksum. If there is no error, Close must be
// called.
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

// newReader verifies the checksum of f, which has size bytes, and reads the header.
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
		return nil, fmt.Errorf("%w: it is not a part of a saved state", ErrDamaged)
	}
	if v := r.in.byte(); r.in.err == nil && v != version {
		return nil, fmt.Errorf("written in version %d of the format; this program reads version %d", v, version)
	}
	r.Policy = r.in.text()
	r.Parts = int(r.in.uvarint(MaxParts))
	return r, r.in.err
}

// Next returns the next record, or io.EOF after the last.
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
