package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"mesh/pipe/files/disk"
	"mesh/proto/wire"
)

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
	destination.disk.ReportLacks(o.Warn)
	w := newFrameWriter(to)
	account := o.Ledger.account(o.Owner, in.Name())
	r := &receiver{
		o: o, r: newFrameReader(from).counting(o), w: w, problems: problems{report: o.Report},
		order: newOrder(o), folders: folderStack{destination}, account: account,
		existing: existing{force: o.Force, rename: o.Rename, owner: o.Owner, account: account, flush: w.flush},
	}
	r.store = startStore(destination, o, account)
	if o.Take {
		err = takeFirst(o.Names, w)
	}
	if err == nil {
		err = readFrames(ctx, r.r, r)
	}
	r.incoming.release()
	r.folders.closeAll()
	if serr := r.store.finish(); err == nil || errors.Is(err, errStoreFailed) {
		err = serr
	}
	if aerr := account.flush(); aerr != nil && o.Warn != nil {
		o.Warn(fmt.Errorf("what was stored is not noted: %w: a repeated delivery sends it again", aerr))
	}
	if err == nil {
		late := acknowledge(ctx, r)
		r.problems.addMissing(r.order.asked.missing())
		if late != nil {
			err = &lateError{late, r.problems.err()}
		}
	}
	stored, bytes := r.store.results.count()
	sum := Summary{Files: stored, Skipped: r.skipped, Bytes: bytes, Failed: r.problems.failed, Refused: r.problems.refused}
	if err != nil {
		if o.MaxBytes > 0 {
			_ = disk.TrimAbandoned(context.WithoutCancel(ctx), in, ownerPrefix(o.Owner), o.MaxBytes)
		}
		return sum, err
	}
	return sum, r.problems.err()
}

// acknowledge tells the sender that all is stored, and wants its frames to end.
func acknowledge(ctx context.Context, r *receiver) error {
	if err := r.beforeRead(ctx); err != nil {
		return err
	}
	stored, bytes := r.store.results.count()
	m := &wire.Stored{Files: stored, Skipped: r.skipped, Refused: r.problems.refused}
	if r.o.Minor1 {
		m.Bytes = bytes
	}
	if m.Refused > 0 {
		m.Code = r.problems.code
	}
	if err := errors.Join(r.w.writeMessage(m), r.w.flush()); err != nil {
		return err
	}
	return r.r.wantEnd()
}
