package recv

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/wire"
	"mesh/tools/cmdline"
)

// storeFiles stores files below the folder of -C, or one file as the FILE of -o.
func storeFiles(ctx context.Context, t transfer, o options, d *destination, s cmdline.Streams) error {
	folder, as := o.directory, ""
	if folder == "" {
		folder, as = filepath.Dir(o.output), filepath.Base(o.output)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		err = proto.IOError(err)
		t.end(err)
		return err
	}
	defer root.Close()
	var exists atomic.Bool
	complain := s.Complaints()
	r := o.store
	r.Minor1, r.Counts, r.Progress = t.minor >= 1, t.minor >= wire.CountMinor, t.progress
	r.As, r.Owner, r.Ledger, r.Warn = as, t.peer, t.ledger, d.warn
	r.Take, r.Names = t.kind == wire.KindTake, o.names
	r.Report = func(path string, err error) {
		if errors.Is(err, files.ErrIsThere) {
			exists.Store(true)
		}
		complain(path, err)
	}
	side := func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error) {
		return files.Receive(ctx, root, from, to, r)
	}
	if d.ask {
		side = askFirst(t, o, s, side)
	}
	err = t.files(ctx, side)
	if exists.Load() && as == "" && !r.Force && !r.Rename {
		return proto.Hint(err, "--force replaces what is there, --rename stores beside it")
	}
	return err
}

// writeArchive writes files and folders as one archive.
func writeArchive(ctx context.Context, t transfer, o options, d *destination) error {
	limits := files.ReceiveOptions{
		Portable: o.store.Portable, AnyNames: o.store.AnyNames, MaxBytes: o.store.MaxBytes, MaxEntries: o.store.MaxEntries,
		Take: t.kind == wire.KindTake, Names: o.names, Counts: t.minor >= wire.CountMinor, Progress: t.progress,
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	return t.files(ctx, func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error) {
		defer d.watchReader(ctx, fail)()
		return files.ReceiveArchive(ctx, o.archive, d.sink.Writer, d.commit(), from, to, limits)
	})
}

// removeBroken removes what broken transfers have left below a folder.
func removeBroken(ctx context.Context, folder string) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return proto.IOError(err)
	}
	defer root.Close()
	return files.Collect(ctx, root)
}
