package pipe

import (
	"slices"

	"mesh/proto"
)

// reassembly is a reassembly buffer: bytes of an incoming transfer that arrive in
// any order and leave in order. It holds them in blocks of [blockBytes], aligned to
// that. Freed blocks are reused last in, first out: they are still in the cache. It
// is not safe for more than one goroutine, but claimed room may be filled meanwhile.
type reassembly struct {
	blocks []*partBlock // nil where nothing has arrived yet
	free   []*partBlock
	// start is the offset in the transfer of the first block's first byte. All bytes
	// from start to end are present, and the byte at end is not. So start ≤ end ≤
	// highest().
	start, end int64
}

// partBlock is one block with its pieces, in order and without overlap. Present
// pieces that touch each other are merged.
type partBlock struct {
	buf    []byte
	pieces []piece
}

// piece is the bytes of a block from offset from up to, but not including, to.
type piece struct {
	from, to int
	present  bool // else claimed, and still being received
}

// claim reserves room for up to n bytes from offset on: as far as the end of the
// block or the next piece. Commit follows. If the first bytes are already present,
// it returns how many to skip. If another link is still receiving them, it returns
// neither, and the caller waits and asks again.
func (r *reassembly) claim(offset int64, n int) (room []byte, skip int, err error) {
	if offset < r.start {
		return nil, int(min(int64(n), r.start-offset)), nil
	}
	b := r.blockAt(offset)
	from := int(offset % blockBytes)
	to := min(blockBytes, from+n)
	i := slices.IndexFunc(b.pieces, func(p piece) bool { return p.to > from })
	if i < 0 {
		i = len(b.pieces)
	} else if next := b.pieces[i]; next.from <= from && next.present {
		return nil, min(to, next.to) - from, nil
	} else if next.from <= from {
		return nil, 0, nil
	} else {
		to = min(to, next.from)
	}
	if len(b.pieces) == proto.MaxPieces {
		return nil, 0, proto.Errorf(proto.Protocol, "the peer sent more than %d separate pieces of one block", proto.MaxPieces)
	}
	b.pieces = slices.Insert(b.pieces, i, piece{from: from, to: to})
	return b.buf[from:to], 0, nil
}

// blockAt returns the block of the byte at offset, and allocates it if necessary.
func (r *reassembly) blockAt(offset int64) *partBlock {
	at := int((offset - r.start) / blockBytes)
	for len(r.blocks) <= at {
		r.blocks = append(r.blocks, nil)
	}
	if r.blocks[at] == nil {
		r.blocks[at] = r.newBlock()
	}
	return r.blocks[at]
}

func (r *reassembly) newBlock() *partBlock {
	if n := len(r.free); n > 0 {
		b := r.free[n-1]
		r.free = r.free[:n-1]
		return b
	}
	return &partBlock{buf: make([]byte, blockBytes)}
}

// commit marks the first n bytes of the room claimed at offset as present, and
// gives up the claim to the rest.
func (r *reassembly) commit(offset int64, n int) {
	b := r.blocks[(offset-r.start)/blockBytes]
	from := int(offset % blockBytes)
	i := slices.IndexFunc(b.pieces, func(p piece) bool { return p.from == from })
	if n == 0 {
		b.pieces = slices.Delete(b.pieces, i, i+1)
		return
	}
	b.pieces[i] = piece{from, from + n, true}
	if next := i + 1; next < len(b.pieces) && b.pieces[next].present && b.pieces[next].from == from+n {
		b.pieces[i].to = b.pieces[next].to
		b.pieces = slices.Delete(b.pieces, next, next+1)
	}
	if before := i - 1; before >= 0 && b.pieces[before].present && b.pieces[before].to == from {
		b.pieces[before].to = b.pieces[i].to
		b.pieces = slices.Delete(b.pieces, i, i+1)
	}
	r.advance()
}

// advance moves end past the bytes that are now present in order.
func (r *reassembly) advance() {
	for at := int((r.end - r.start) / blockBytes); at < len(r.blocks); at++ {
		b := r.blocks[at]
		if b == nil || len(b.pieces) == 0 || b.pieces[0].from > 0 || !b.pieces[0].present {
			return
		}
		r.end = r.start + int64(at)*blockBytes + int64(b.pieces[0].to)
		if b.pieces[0].to < blockBytes {
			return
		}
	}
}

// highest returns the offset behind the last byte that is present or claimed.
func (r *reassembly) highest() int64 {
	for at, b := range slices.Backward(r.blocks) {
		if b != nil && len(b.pieces) > 0 {
			return r.start + int64(at)*blockBytes + int64(b.pieces[len(b.pieces)-1].to)
		}
	}
	return r.end
}

// bytesAt returns the bytes from offset, which lies between start and end, to the
// end of its block or to end.
func (r *reassembly) bytesAt(offset int64) []byte {
	b := r.blocks[(offset-r.start)/blockBytes]
	from := offset % blockBytes
	return b.buf[from:min(blockBytes, from+r.end-offset)]
}

// releaseBefore frees the whole blocks before offset, which is at most end.
func (r *reassembly) releaseBefore(offset int64) {
	for len(r.blocks) > 0 && r.start+blockBytes <= offset {
		first := r.blocks[0]
		first.pieces = first.pieces[:0]
		r.free = append(r.free, first)
		r.blocks = r.blocks[1:]
		r.start += blockBytes
	}
}
