package files

import (
	"context"
	"errors"
	"io"

	"mesh/pipe/digest"
	"mesh/proto"
	"mesh/proto/wire"
)

// collector is one run of [ReceiveArchive].
type collector struct {
	ctx   context.Context
	o     ReceiveOptions
	r     *frameReader
	w     *frameWriter
	order *order

	archive archiveWriter
	// queue are the entries that were announced and are not in the archive yet:
	// they go into it in the order of their announcement, whatever of them is
	// still to come.
	queue []*wire.Entry
	files int       // in the queue
	into  io.Writer // the file whose data comes, and what came of it
	bytes int64
	hash  *digest.Hasher
	sum   Summary
}

// ReceiveArchive writes the files and folders that come from one pipe to an
// archive, as they come, and tells the sender over the other that nothing of them
// is there. If all that was announced is in it, and commit, which may be nil, has
// succeeded, it returns nil. Else the archive has no end: a single entry that
// can't be sent, or has a name that may not be written, ends the transfer.
func ReceiveArchive(ctx context.Context, format string, out io.Writer, commit func() error, from io.Reader, to io.Writer, o ReceiveOptions) (Summary, error) {
	archive, err := newArchive(format, out)
	if err != nil {
		return Summary{}, err
	}
	c := &collector{ctx: ctx, o: o, r: newFrameReader(from), w: newFrameWriter(to), order: newOrder(o), archive: archive, hash: digest.New()}
	err = takeFrames(c.r, c)
	if err == nil {
		err = c.finish(commit)
	}
	return c.sum, err
}

// ready implements [taker].
func (c *collector) ready() error {
	if err := context.Cause(c.ctx); err != nil {
		return err
	}
	if c.r.r.Buffered() > 0 {
		return nil
	}
	return c.w.flush()
}

// entry implements [taker].
func (c *collector) entry(m *wire.Entry) error {
	if c.into != nil || m.Now && c.files > 0 || len(c.queue) == proto.MaxPending {
		return disorder(m)
	}
	if err := c.order.count(m); err != nil {
		return err
	}
	if err := CheckPath(m.Path, c.o.Portable); err != nil {
		return err
	}
	_, _, twin, err := c.order.place(m)
	switch {
	case err != nil:
		return err
	case twin:
		return proto.Errorf(proto.Unsafe, "%s: %w", proto.EscapeText(m.Path), errTwin)
	case m.Kind == wire.EntrySymlink:
		if err := checkTarget(m.Path, m.Target); err != nil {
			return err
		}
	}
	if !m.Now {
		if err := c.w.message(&wire.Answer{ID: m.ID, Fresh: m.Kind == wire.EntryFolder}); err != nil {
			return err
		}
	}
	c.queue = append(c.queue, m)
	if m.Kind == wire.EntryFile {
		c.files++
	}
	if !m.Now || m.Kind != wire.EntryFile {
		return c.drain()
	}
	if !m.Small() {
		return c.begin(m)
	}
	if m.Size == 0 {
		return c.whole(m, nil)
	}
	_, body, err := c.r.next(wire.TypeData)
	if err != nil {
		return err
	}
	return c.whole(m, body)
}

// drain adds what waits for no data.
func (c *collector) drain() error {
	for len(c.queue) > 0 && c.queue[0].Kind != wire.EntryFile {
		if _, err := c.archive.begin(c.queue[0]); err != nil {
			return err
		}
		if c.queue[0].Kind == wire.EntrySymlink {
			c.sum.Files++
		}
		c.queue = c.queue[1:]
	}
	return nil
}

// whole adds a small file, which is proven before any of it is written.
func (c *collector) whole(m *wire.Entry, body []byte) error {
	if err := proven(m, body); err != nil {
		return err
	}
	w, err := c.archive.begin(m)
	if err != nil {
		return err
	}
	if _, err := w.Write(body); err != nil {
		return err
	}
	return c.added()
}

// begin adds a large file, whose data is written as it comes.
func (c *collector) begin(m *wire.Entry) (err error) {
	c.into, err = c.archive.begin(m)
	c.bytes = 0
	c.hash.Reset()
	return err
}

// added goes on behind the file that is first in the queue.
func (c *collector) added() error {
	c.into = nil
	c.queue = c.queue[1:]
	c.files--
	c.sum.Files++
	return c.drain()
}

// from implements [taker].
func (c *collector) from(m *wire.From) error {
	if c.into != nil || len(c.queue) == 0 || c.queue[0].ID != m.ID || m.From != 0 {
		return disorder(m)
	}
	return c.begin(c.queue[0])
}

// data implements [taker].
func (c *collector) data(body []byte) error {
	if c.into == nil || len(body) == 0 {
		return proto.Errorf(proto.Protocol, "%s out of order", wire.TypeData)
	}
	if int64(len(body)) > c.queue[0].Size-c.bytes {
		return errMore
	}
	c.bytes += int64(len(body))
	_, _ = c.hash.Write(body) // never fails
	_, err := c.into.Write(body)
	return err
}

// end implements [taker].
func (c *collector) end(m *wire.End) error {
	if len(c.queue) == 0 || c.queue[0].ID != m.ID || c.into == nil && m.Code == 0 {
		return disorder(m)
	}
	e := c.queue[0]
	switch {
	case m.Code != 0:
		return proto.Errorf(m.Code, "the peer could not send %s (%s): %s", proto.QuoteText(e.Path), m.Code, m.Code.OfPeer())
	case c.bytes != e.Size:
		return errFewer(e, c.bytes)
	case c.hash.Sum() != *m.Digest:
		return errDigest
	}
	return c.added()
}

// total implements [taker].
func (c *collector) total(m *wire.Total) error {
	if len(c.queue) > 0 || m.Entries != c.order.last {
		return disorder(m)
	}
	if m.Failed > 0 {
		c.sum.Failed = m.Failed
		return proto.Errorf(m.Code, "%s not sent, and an archive is not written in part", count(m.Failed))
	}
	return nil
}

// finish ends the archive, and tells the sender that all is in it.
func (c *collector) finish(commit func() error) error {
	if err := c.archive.end(); err != nil {
		return err
	}
	if commit != nil {
		if err := commit(); err != nil {
			return err
		}
	}
	if err := errors.Join(c.w.message(&wire.Stored{Files: c.sum.Files}), c.w.flush()); err != nil {
		return err
	}
	return c.r.end()
}
