package files

import (
	"context"
	"errors"
	"io"
	"time"
	"unicode/utf8"

	"mesh/pipe/digest"
	"mesh/pipe/files/archive"
	"mesh/proto"
	"mesh/proto/wire"
)

// The formats of archives.
const (
	Zip = archive.Zip
	Tar = archive.Tar
)

// ReceiveArchive writes the files and folders that arrive on one pipe to an
// archive, and answers the sender on the other that nothing of them is there. It
// returns nil when all that was announced is in the archive, and commit, which may
// be nil, has succeeded. Otherwise the archive stays without its end: an entry that
// cannot be sent, or whose name may not be written, ends the transfer.
func ReceiveArchive(ctx context.Context, format string, out io.Writer, commit func() error, from io.Reader, to io.Writer, o ReceiveOptions) (Summary, error) {
	w, err := archive.NewWriter(format, out)
	if err != nil {
		return Summary{}, err
	}
	a := &archiver{names: o.names(), format: format, r: newFrameReader(from).counting(o), w: newFrameWriter(to), order: newOrder(o), begun: time.Now(), archive: w, hash: digest.New()}
	if o.Take {
		err = takeFirst(o.Names, a.w)
	}
	if err == nil {
		err = readFrames(ctx, a.r, a)
	}
	if missing := a.order.asked.missing(); err == nil && len(missing) > 0 {
		err = proto.Errorf(proto.IO, "the peer offers nothing of the name %s, or cannot read it, and an archive is not written in part", proto.EscapeText(missing[0]))
	}
	if err == nil {
		err = a.finish(commit)
	}
	return a.sum, err
}

// archiver takes the sender's frames, as [frameHandler], and writes an archive.
type archiver struct {
	names  Names
	format string
	r      *frameReader
	w      *frameWriter
	order  *order
	begun  time.Time

	archive archive.Writer
	// queue are the entries that were announced and are not in the archive yet. They
	// are written in the order of their announcement, so the first is a file.
	queue []*wire.Entry
	files int // in the queue
	// into is the file whose data arrives, nil if there is none. So far it has got
	// bytes, of which hash is.
	into  io.Writer
	bytes int64
	hash  *digest.Hasher
	sum   Summary
}

// beforeRead implements [frameHandler].
func (a *archiver) beforeRead(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if a.r.buffered() {
		return nil
	}
	return a.w.flush()
}

// handleEntry implements [frameHandler].
func (a *archiver) handleEntry(_ context.Context, m *wire.Entry) error {
	if a.into != nil || m.Now && a.files > 0 || len(a.queue) == proto.MaxPending {
		return errOrder(m)
	}
	if m.Kind == wire.EntryLink { // no answer has allowed it
		return errOrder(m)
	}
	if err := a.checkEntry(m); err != nil {
		return err
	}
	if !m.Now {
		if err := a.w.writeMessage(&wire.Answer{ID: m.ID, Fresh: m.Kind == wire.EntryFolder, Count: a.r.asks()}); err != nil {
			return err
		}
	}
	if !isPlausible(m.Mtime, latestTime(a.begun)) {
		m.Mtime = a.begun.UnixNano()
	}
	a.queue = append(a.queue, m)
	if m.Kind == wire.EntryFile {
		a.files++
	}
	switch {
	case !m.Now || m.Kind != wire.EntryFile:
		return a.addDataless()
	case m.Small():
		return a.addSmall(m)
	}
	return a.beginFile(m)
}

// checkEntry checks order, limits, name and target of an entry.
func (a *archiver) checkEntry(m *wire.Entry) error {
	if err := a.order.countEntry(m); err != nil {
		return err
	}
	if err := CheckPath(m.Path, a.names); err != nil {
		return err
	}
	at, err := a.order.placeEntry(m)
	switch {
	case err != nil:
		return err
	case a.format == Zip && !utf8.ValidString(m.Path+m.Target):
		return proto.Errorf(proto.Unsafe, "%s: a zip has only names in UTF-8, a tar has any", proto.EscapeText(m.Path))
	case a.names.isStrict() && len(at.rivals) > 0:
		return proto.Errorf(proto.Unsafe, "%s: %w", proto.EscapeText(m.Path), errCollision)
	case m.Kind == wire.EntrySymlink:
		return checkLinkTarget(m.Path, m.Target, a.names)
	}
	return nil
}

// addDataless adds the folders and links at the front of the queue.
func (a *archiver) addDataless() error {
	for len(a.queue) > 0 && a.queue[0].Kind != wire.EntryFile {
		if _, err := a.archive.Begin(a.queue[0]); err != nil {
			return err
		}
		if a.queue[0].Kind == wire.EntrySymlink {
			a.sum.Files++
		}
		a.queue = a.queue[1:]
	}
	return nil
}

// addSmall adds a small file whose data follows. It is checked before any of it is
// written.
func (a *archiver) addSmall(m *wire.Entry) error {
	body, err := readSmall(a.r, m)
	if err != nil {
		return err
	}
	w, err := a.archive.Begin(m)
	if err != nil {
		return err
	}
	if _, err := w.Write(body); err != nil {
		return err
	}
	return a.leaveFile()
}

// beginFile adds a file whose data is written as it arrives.
func (a *archiver) beginFile(m *wire.Entry) (err error) {
	a.into, err = a.archive.Begin(m)
	a.bytes = 0
	a.hash.Reset()
	return err
}

// leaveFile takes the file at the front off the queue, and adds what follows it.
func (a *archiver) leaveFile() error {
	a.into = nil
	e := a.queue[0]
	a.queue = a.queue[1:]
	a.files--
	a.sum.Files++
	a.sum.Bytes = addBytes(a.sum.Bytes, e.Size-e.Holes)
	return a.addDataless()
}

// handleFrom implements [frameHandler].
func (a *archiver) handleFrom(m *wire.From) error {
	if a.into != nil || len(a.queue) == 0 || a.queue[0].ID != m.ID || m.From != 0 {
		return errOrder(m)
	}
	return a.beginFile(a.queue[0])
}

// handleData implements [frameHandler].
func (a *archiver) handleData(body []byte) error {
	if a.into == nil || len(body) == 0 {
		return errTypeOrder(wire.TypeData)
	}
	if int64(len(body)) > a.queue[0].Size-a.bytes {
		return errMore
	}
	a.bytes += int64(len(body))
	_, _ = a.hash.Write(body) // never fails
	_, err := a.into.Write(body)
	return err
}

// handleEnd implements [frameHandler].
func (a *archiver) handleEnd(_ context.Context, m *wire.End) error {
	if len(a.queue) == 0 || a.queue[0].ID != m.ID || a.into == nil && m.Code == 0 {
		return errOrder(m)
	}
	e := a.queue[0]
	switch {
	case m.Code != 0:
		return proto.Errorf(m.Code, "the peer could not send %s (%s): %s", proto.QuoteText(e.Path), m.Code, m.Code.OfPeer())
	case a.bytes != e.Size:
		return errFewer(e, a.bytes)
	case a.hash.Sum() != *m.Digest:
		return errDigest
	}
	return a.leaveFile()
}

// handleTotal implements [frameHandler].
func (a *archiver) handleTotal(m *wire.Total) error {
	if len(a.queue) > 0 || m.Entries != a.order.last {
		return errOrder(m)
	}
	a.order.progress.complete()
	if m.Failed > 0 {
		a.sum.Failed = m.Failed
		return proto.Errorf(m.Code, "%s not sent, and an archive is not written in part", countEntries(m.Failed))
	}
	return nil
}

// finish ends the archive, and tells the sender that all is in it.
func (a *archiver) finish(commit func() error) error {
	if err := a.archive.End(); err != nil {
		return err
	}
	if commit != nil {
		if err := commit(); err != nil {
			return err
		}
	}
	err := errors.Join(a.w.writeMessage(&wire.Stored{Files: a.sum.Files}), a.w.flush())
	if err == nil {
		err = a.r.wantEnd()
	}
	if err != nil {
		return &lateError{err, nil}
	}
	return nil
}
