package pipe

// blockBytes is the unit in which bytes are held: [proto.MaxChunkBytes], so
// that a chunk is never in more than one block.
const blockBytes = 256 << 10

// block is bytes between a reader and a writer. It is filled from the front;
// what is filled does not change until the block is free again.
type block struct {
	buf  []byte
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
	if n := len(b.free); n > 0 {
		blk := b.free[n-1]
		b.free = b.free[:n-1]
		return blk
	}
	return &block{buf: make([]byte, blockBytes)}
}

// grow takes the first n bytes of the last space as written.
func (b *blocks) grow(n int) {
	b.list[len(b.list)-1].used += n
	b.end += int64(n)
}

// at returns the bytes from offset to the end of the block that holds it. The
// offset is within start and end.
func (b *blocks) at(offset int64) []byte {
	rel := offset - b.start
	for _, blk := range b.list {
		if rel < int64(blk.used) {
			return blk.buf[rel:blk.used]
		}
		rel -= int64(blk.used)
	}
	return nil
}

// release frees the whole blocks before offset: those that end there or
// earlier, and are full or not the last.
func (b *blocks) release(offset int64) {
	for len(b.list) > 0 {
		first := b.list[0]
		if b.start+int64(first.used) > offset || first.used < blockBytes && len(b.list) == 1 {
			return
		}
		b.start += int64(first.used)
		first.used = 0
		b.free = append(b.free, first)
		b.list = b.list[1:]
	}
}
