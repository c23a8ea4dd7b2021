package pipe

import (
	"fmt"
	"os"

	"mesh/proto"
)

// blockBytes is the unit in which bytes are buffered: [proto.MaxChunkBytes], so
// that a chunk is never in more than one block.
const blockBytes = 256 << 10

// block is part of a [sendBuffer]. It is filled from the front, and its filled
// part does not change until the block is freed.
type block struct {
	buf  []byte // nil while the block is in the spool
	used int
}

// sendBuffer holds the bytes of an outgoing transfer from start to end, in order.
// Freed blocks are reused last in, first out: they are still in the cache. It is
// not safe for more than one goroutine.
type sendBuffer struct {
	list []*block
	free []*block
	// start and end are offsets in the transfer: of the first block's first byte,
	// and behind the last byte.
	start, end int64

	// spool, if set, takes full blocks once maxInMemory of them are in memory. It
	// has room for spoolBlocks; block i of the transfer has place i modulo that.
	spool       *os.File
	spoolBlocks int64
	maxInMemory int
	inMemory    int
}

// limit opens a spool of spoolBytes, if that is more than window, and returns how many bytes
// the buffer may hold then.
func (b *sendBuffer) limit(window, spoolBytes int64) (keep int64, err error) {
	if spoolBytes <= window {
		return window, nil
	}
	if b.spool, err = openSpool(); err != nil {
		return 0, err
	}
	b.spoolBlocks = (spoolBytes + blockBytes - 1) / blockBytes
	// The window, the rest of its first block, and the block that is being
	// filled: bytes that are sent for the first time are never in the spool.
	b.maxInMemory = int(window/blockBytes) + 2
	return spoolBytes, nil
}

// close removes the spool, if there is one.
func (b *sendBuffer) close() {
	if b.spool != nil {
		_ = b.spool.Close() // its content is of no use any more
	}
}

// room returns space for at least one byte behind the end.
func (b *sendBuffer) room() []byte {
	if n := len(b.list); n == 0 || b.list[n-1].used == blockBytes {
		b.list = append(b.list, b.newBlock())
	}
	last := b.list[len(b.list)-1]
	return last.buf[last.used:]
}

func (b *sendBuffer) newBlock() *block {
	b.inMemory++
	if n := len(b.free); n > 0 {
		blk := b.free[n-1]
		b.free = b.free[:n-1]
		return blk
	}
	return &block{buf: make([]byte, blockBytes)}
}

// commit appends the first n bytes of the last room.
func (b *sendBuffer) commit(n int) error {
	last := b.list[len(b.list)-1]
	last.used += n
	b.end += int64(n)
	if b.spool == nil || last.used < blockBytes || b.inMemory <= b.maxInMemory {
		return nil
	}
	if _, err := b.spool.WriteAt(last.buf, b.spoolOffset(len(b.list)-1)); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	b.list[len(b.list)-1] = &block{used: blockBytes}
	last.used = 0
	b.freeBlock(last)
	return nil
}

// spoolOffset returns where in the spool the i-th block of the list is.
func (b *sendBuffer) spoolOffset(i int) int64 {
	return (b.start/blockBytes + int64(i)) % b.spoolBlocks * blockBytes
}

func (b *sendBuffer) freeBlock(blk *block) {
	b.inMemory--
	b.free = append(b.free, blk)
}

// bytesAt returns the bytes from offset, which lies between start and end, to the
// end of its block. A block in the spool is read into scratch, which is allocated
// at its first use.
func (b *sendBuffer) bytesAt(offset int64, scratch *[]byte) ([]byte, error) {
	i := int((offset - b.start) / blockBytes)
	from := int((offset - b.start) % blockBytes)
	blk := b.list[i]
	if blk.buf != nil {
		return blk.buf[from:blk.used], nil
	}
	if *scratch == nil {
		*scratch = make([]byte, blockBytes)
	}
	p := (*scratch)[:blk.used-from]
	if _, err := b.spool.ReadAt(p, b.spoolOffset(i)+int64(from)); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	return p, nil
}

// releaseBefore frees the full blocks that end at offset or earlier.
func (b *sendBuffer) releaseBefore(offset int64) {
	for len(b.list) > 0 {
		first := b.list[0]
		if b.start+int64(first.used) > offset || first.used < blockBytes {
			return
		}
		b.start += int64(first.used)
		b.list = b.list[1:]
		if first.buf != nil {
			first.used = 0
			b.freeBlock(first)
		}
	}
}

// openSpool makes the file of a spool. It has no name, so it disappears with this
// process, however that ends.
func openSpool() (*os.File, error) {
	f, err := os.CreateTemp("", ".mesh-spool-") // with mode 0600
	if err != nil {
		return nil, proto.IOError(err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, proto.IOError(err)
	}
	return f, nil
}
