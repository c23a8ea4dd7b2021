package pipe

import (
	"fmt"
	"os"

	"mesh/proto"
)

// blockBytes is the unit in which bytes are held: [proto.MaxChunkBytes], so
// that a chunk is never in more than one block.
const blockBytes = 256 << 10

// block is bytes between a reader and a writer. It is filled from the front;
// what is filled does not change until the block is free again.
type block struct {
	buf  []byte // nil when it is in the spool
	used int
}

// blocks is bytes in order, the newest at the end of the last block. Freed
// blocks are used again last in, first out: they are still in the cache. It is
// not safe for more than one goroutine.
type blocks struct {
	list []*block
	free []*block
	// start is the offset in the transfer of the first block's first byte, end
	// that behind the last byte.
	start, end int64

	// spool, if it is set, takes full blocks when as many as held are in memory
	// already. It has room for spoolBlocks, each at its place modulo that.
	spool       *os.File
	spoolBlocks int64
	held        int // blocks in memory at the most
	inMemory    int
}

// space returns room for at least one byte behind the end.
func (b *blocks) space() []byte {
	if n := len(b.list); n == 0 || b.list[n-1].used == blockBytes {
		b.list = append(b.list, b.take())
	}
	last := b.list[len(b.list)-1]
	return last.buf[last.used:]
}

func (b *blocks) take() *block {
	b.inMemory++
	if n := len(b.free); n > 0 {
		blk := b.free[n-1]
		b.free = b.free[:n-1]
		return blk
	}
	return &block{buf: make([]byte, blockBytes)}
}

// grow takes the first n bytes of the last space as written.
func (b *blocks) grow(n int) error {
	last := b.list[len(b.list)-1]
	last.used += n
	b.end += int64(n)
	if b.spool == nil || last.used < blockBytes || b.inMemory <= b.held {
		return nil
	}
	if _, err := b.spool.WriteAt(last.buf, b.place(len(b.list)-1)); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	b.list[len(b.list)-1] = &block{used: blockBytes}
	last.used = 0
	b.putBack(last)
	return nil
}

// place returns where in the spool the i-th block is.
func (b *blocks) place(i int) int64 {
	return (b.start/blockBytes + int64(i)) % b.spoolBlocks * blockBytes
}

func (b *blocks) putBack(blk *block) {
	b.inMemory--
	b.free = append(b.free, blk)
}

// at returns the bytes from offset to the end of the block that holds it. The
// offset is within start and end. What is in the spool is read into scratch,
// which is made when it is needed.
func (b *blocks) at(offset int64, scratch *[]byte) ([]byte, error) {
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
	if _, err := b.spool.ReadAt(p, b.place(i)+int64(from)); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	return p, nil
}

// release frees the whole blocks before offset: those that end there or
// earlier, and are full or not the last.
func (b *blocks) release(offset int64) {
	for len(b.list) > 0 {
		first := b.list[0]
		if b.start+int64(first.used) > offset || first.used < blockBytes {
			return
		}
		b.start += int64(first.used)
		b.list = b.list[1:]
		if first.buf != nil {
			first.used = 0
			b.putBack(first)
		}
	}
}

// spoolFile makes the file of a spool. It has no name, so that it is gone with
// this process, however that ends.
func spoolFile() (*os.File, error) {
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
