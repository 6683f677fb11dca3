package diskcache

import "sync"

// buffers are for files that are read whole, one pool for each size.
var buffers [3]sync.Pool

var bufferSizes = [len(buffers)]int{blockSize, 4 * blockSize, smallMax}

// getBuffer returns a buffer of at least n bytes, up to smallMax.
func getBuffer(n int) *[]byte {
	for i, size := range bufferSizes {
		if n <= size {
			if buf, ok := buffers[i].Get().(*[]byte); ok {
				return buf
			}
			buf := make([]byte, size)
			return &buf
		}
	}
	panic("diskcache: no buffer of this size")
}

func putBuffer(buf *[]byte) {
	for i, size := range bufferSizes {
		if len(*buf) == size {
			buffers[i].Put(buf)
		}
	}
}

// copySize is how many bytes a hit writes at a time. A client that reads slowly holds that much
// memory.
const copySize = 32 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copySize]byte) }}

var chunkBuffers = sync.Pool{New: func() any { return new([chunkSize]byte) }}
