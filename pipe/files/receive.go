package files

import (
	"context"
	"errors"
	"io"
	"os"

	"mesh/pipe/files/disk"
	"mesh/proto/wire"
)

// ReceiveOptions are the options of [Receive]. The zero value will do.
type ReceiveOptions struct {
	// Force replaces files and links that are there. Rename stores what arrives
	// under another name. Without either, a file that is there is not overwritten:
	// what arrives is refused.
	Force, Rename bool
	// Portable refuses names that some system cannot store.
	Portable bool
	// MaxBytes and MaxEntries limit what may be announced; 0 is no limit.
	MaxBytes, MaxEntries int64
	// As, if it is set, is the name under which one file is stored. Anything else is
	// refused.
	As string
	// Owner says whose files these are. A part of a file is resumed only for the
	// same owner.
	Owner string
	// Report, if it is set, is called for each entry that is not sent or not stored.
	// The path is safe to print.
	Report func(path string, err error)
	// Arrived, if it is set, is called for each file, link and folder that the sender
	// named, one after the other, once it is durable here: also for what was there
	// already, and also if the transfer fails later. The sender hears of the end only
	// after the last call. An error ends the transfer.
	Arrived func(Arrival) error
}

// Receive stores the files and folders that arrive on one pipe below an open
// folder, and answers the sender on the other. It returns nil only when all that
// was announced is durable. An entry that is not stored is reported and does not
// stop the rest; the error is an [Incomplete] then. If Receive fails otherwise,
// what was complete stays. The caller closes the pipes and in.
func Receive(ctx context.Context, in *os.Root, from io.Reader, to io.Writer, o ReceiveOptions) (Summary, error) {
	destination, err := openDestination(in)
	if err != nil {
		return Summary{}, err
	}
	defer destination.closeDestination()
	w := newFrameWriter(to)
	r := &receiver{
		o: o, r: newFrameReader(from), w: w, problems: problems{report: o.Report},
		order: newOrder(o), folders: folderStack{destination}, temps: disk.NewTempNames(),
		existing: existing{force: o.Force, rename: o.Rename, owner: o.Owner, flush: w.flush},
	}
	r.store = startStore(destination, o, r.temps.Next())
	err = readFrames(ctx, r.r, r)
	r.incoming.release()
	r.folders.closeAll()
	if serr := r.store.finish(); err == nil || errors.Is(err, errStoreFailed) {
		err = serr
	}
	if err == nil {
		err = acknowledge(ctx, r)
	}
	sum := Summary{Files: r.store.results.count(), Skipped: r.skipped, Failed: r.problems.failed, Refused: r.problems.refused}
	if err != nil {
		return sum, err
	}
	return sum, r.problems.err()
}

// acknowledge tells the sender that all is stored, and wants its frames to end.
func acknowledge(ctx context.Context, r *receiver) error {
	if err := r.beforeRead(ctx); err != nil {
		return err
	}
	m := &wire.Stored{Files: r.store.results.count(), Skipped: r.skipped, Refused: r.problems.refused}
	if m.Refused > 0 {
		m.Code = r.problems.code
	}
	if err := errors.Join(r.w.message(m), r.w.flush()); err != nil {
		return err
	}
	return r.r.wantEnd()
}
