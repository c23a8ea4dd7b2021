package pipe

import (
	"slices"

	"mesh/proto"
)

// assembly is bytes that come in pieces and leave in order. It holds them in
// blocks of [blockBytes], which begin at multiples of that. Freed blocks are
// used again last in, first out: they are still in the cache. It is not safe
// for more than one goroutine, but what is claimed may be filled beside it.
type assembly struct {
	blocks []*assembled // nil where nothing has come yet
	free   []*assembled
	// start is the offset in the transfer of the first block's first byte. What
	// is before end is all there.
	start, end int64
}

// assembled is one block with its pieces, in order and without overlap. Pieces
// that are there and touch each other are one.
type assembled struct {
	buf    []byte
	pieces []piece
}

// piece is the bytes from, to before to, of a block: there, or only claimed.
type piece struct {
	from, to int
	there    bool
}

// claim returns room for the bytes from offset on, of which there are n, up to
// the end of a block or what is there already; then comes filled. If the first
// of the bytes are there, it returns how many of them to skip, and if they are
// claimed, neither: what becomes of them is still to be seen.
func (a *assembly) claim(offset int64, n int) (room []byte, skip int, err error) {
	if offset < a.start {
		return nil, int(min(int64(n), a.start-offset)), nil
	}
	at := int((offset - a.start) / blockBytes)
	for len(a.blocks) <= at {
		a.blocks = append(a.blocks, nil)
	}
	b := a.blocks[at]
	if b == nil {
		b = a.take()
		a.blocks[at] = b
	}
	from := int(offset % blockBytes)
	to := min(blockBytes, from+n)
	i := slices.IndexFunc(b.pieces, func(p piece) bool { return p.to > from })
	if i < 0 {
		i = len(b.pieces)
	} else if next := b.pieces[i]; next.from <= from && next.there {
		return nil, min(to, next.to) - from, nil
	} else if next.from <= from {
		return nil, 0, nil
	} else {
		to = min(to, next.from)
	}
	if len(b.pieces) == proto.MaxPieces {
		return nil, 0, proto.Errorf(proto.Protocol, "the peer sends in too many pieces")
	}
	b.pieces = slices.Insert(b.pieces, i, piece{from: from, to: to})
	return b.buf[from:to], 0, nil
}

func (a *assembly) take() *assembled {
	if n := len(a.free); n > 0 {
		b := a.free[n-1]
		a.free = a.free[:n-1]
		return b
	}
	return &assembled{buf: make([]byte, blockBytes)}
}

// filled takes the first n bytes of what was claimed at offset as there, and
// gives the claim to the rest up.
func (a *assembly) filled(offset int64, n int) {
	b := a.blocks[(offset-a.start)/blockBytes]
	from := int(offset % blockBytes)
	i := slices.IndexFunc(b.pieces, func(p piece) bool { return p.from == from })
	if n == 0 {
		b.pieces = slices.Delete(b.pieces, i, i+1)
		return
	}
	b.pieces[i] = piece{from, from + n, true}
	if next := i + 1; next < len(b.pieces) && b.pieces[next].there && b.pieces[next].from == from+n {
		b.pieces[i].to = b.pieces[next].to
		b.pieces = slices.Delete(b.pieces, next, next+1)
	}
	if before := i - 1; before >= 0 && b.pieces[before].there && b.pieces[before].to == from {
		b.pieces[before].to = b.pieces[i].to
		b.pieces = slices.Delete(b.pieces, i, i+1)
	}
	a.advance()
}

// advance moves end over what is there.
func (a *assembly) advance() {
	for at := int((a.end - a.start) / blockBytes); at < len(a.blocks); at++ {
		b := a.blocks[at]
		if b == nil || len(b.pieces) == 0 || b.pieces[0].from > 0 || !b.pieces[0].there {
			return
		}
		a.end = a.start + int64(at)*blockBytes + int64(b.pieces[0].to)
		if b.pieces[0].to < blockBytes {
			return
		}
	}
}

// last returns the offset behind the last byte that is there or claimed.
func (a *assembly) last() int64 {
	for at, b := range slices.Backward(a.blocks) {
		if b != nil && len(b.pieces) > 0 {
			return a.start + int64(at)*blockBytes + int64(b.pieces[len(b.pieces)-1].to)
		}
	}
	return a.end
}

// at returns the bytes from offset, which is within start and end, to the end of
// its block or to end.
func (a *assembly) at(offset int64) []byte {
	b := a.blocks[(offset-a.start)/blockBytes]
	from := offset % blockBytes
	return b.buf[from:min(blockBytes, from+a.end-offset)]
}

// release frees the whole blocks before offset, which is not behind end.
func (a *assembly) release(offset int64) {
	for len(a.blocks) > 0 && a.start+blockBytes <= offset {
		first := a.blocks[0]
		first.pieces = first.pieces[:0]
		a.free = append(a.free, first)
		a.blocks = a.blocks[1:]
		a.start += blockBytes
	}
}
