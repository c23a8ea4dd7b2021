package files

import (
	"context"
	"errors"
	"io"
	"time"

	"mesh/pipe/files/disk"
	"mesh/proto"
	"mesh/proto/wire"
)

// Offer is [Send] to a receiver that first says with FILES_TAKE what it wants: a list, or
// files. Only the files and folders with these names, and what is in them, can be asked
// for.
func Offer(ctx context.Context, names []string, from io.Reader, to io.Writer, o SendOptions) (Summary, error) {
	r, w := newFrameReader(from), newFrameWriter(to)
	for listed := false; ; listed = true {
		take, err := readTake(r, listed)
		if err != nil || take == nil {
			return Summary{Untaken: true}, err
		}
		again := func(o SendOptions) (finder, error) { return newAskedFinder(names, take.Names, o) }
		find, err := again(o)
		if err != nil {
			return Summary{Untaken: true}, err
		}
		if take.List == "" {
			return sendFound(ctx, find, again, r, w, o)
		}
		err = errors.Join(sendList(ctx, find, w, take.List, o), w.flush())
		find.close()
		if err != nil {
			return Summary{Untaken: true}, err
		}
	}
}

// newAskedFinder is [newFinder] of what was asked for.
func newAskedFinder(names, wanted []string, o SendOptions) (finder, error) {
	find, err := newFinder(names, o)
	if err != nil || len(wanted) == 0 {
		return find, err
	}
	a := newAsked(wanted)
	if w, ok := find.(*walk); ok && len(w.args) == 1 {
		a.addTop(w.args[0].name)
	}
	return &filter{finder: find, asked: a}, nil
}

// readTake reads what the receiver wants. After a list it may want nothing more: nil.
func readTake(r *frameReader, listed bool) (*wire.Take, error) {
	if listed && r.ended() {
		return nil, nil
	}
	_, body, err := r.readFrame(wire.TypeTake)
	if err != nil {
		return nil, err
	}
	m := new(wire.Take)
	if err := wire.ParseBody(body, m); err != nil {
		return nil, err
	}
	if listed && m.List != "" {
		return nil, errOrder(m)
	}
	return m, nil
}

// sumFor is how long a sender counts for a FILES_SUM: a person waits for it.
const sumFor = 2 * time.Second

// sendList sends what would be sent, as a list of all or as a sum.
func sendList(ctx context.Context, find finder, w *frameWriter, list string, o SendOptions) error {
	sum := summer{o: o}
	entries, p := int64(0), problems{report: o.Report}
	for end := time.Now().Add(sumFor); ; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		it := find.next()
		if it == nil {
			break
		}
		switch {
		case it.err != nil:
			if !o.skips(it.err) {
				p.addFailed(proto.EscapeText(it.path), it.err)
			}
			continue
		case list == wire.ListAll:
			entries++
			if err := w.writeMessage(listedOf(it)); err != nil {
				return err
			}
			continue
		}
		if sum.More = time.Now().After(end); sum.More {
			break
		}
		sum.add(it)
	}
	if list == wire.ListSum {
		return w.writeMessage(&sum.Sum)
	}
	failed, code := p.failures()
	return w.writeMessage(&wire.Total{Entries: entries, Failed: failed, Code: code})
}

func listedOf(it *item) *wire.Listed {
	m := &wire.Listed{Path: it.path, Kind: it.kind}
	if it.kind == wire.EntryFile {
		m.Size = it.size
	}
	return m
}

// summer sums up what would be sent. Other names of a file and holes do not count where
// they do not travel.
type summer struct {
	wire.Sum
	o      SendOptions
	linked map[disk.FileID]bool
}

func (s *summer) add(it *item) {
	if it.in == nil {
		if s.Top++; s.Top == 1 {
			s.Path = it.path
		}
	}
	if it.kind != wire.EntryFolder {
		s.Files++
		s.Bytes = addBytes(s.Bytes, s.bytesOf(it))
	}
}

// bytesOf returns how many bytes of an item are sent.
func (s *summer) bytesOf(it *item) int64 {
	if it.kind != wire.EntryFile {
		return 0
	}
	if s.o.Links && it.linked && it.in != nil {
		if s.linked[it.id] {
			return 0
		}
		if s.linked == nil {
			s.linked = make(map[disk.FileID]bool)
		}
		if len(s.linked) < proto.MaxLinked {
			s.linked[it.id] = true
		}
	}
	return it.size - s.o.holesOf(it)
}
