package recv

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/urfave/cli/v2"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/tools/cmdline"
)

// storeFiles stores files below the folder dir, or if as is set, one file there
// under that name.
func storeFiles(c *cli.Context, t transfer, dir, as string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		err = proto.IOError(err)
		t.end(err)
		return err
	}
	defer root.Close()
	var taken atomic.Bool
	complain := cmdline.StreamsOf(c).Complaints()
	report := func(path string, err error) {
		if errors.Is(err, files.ErrIsThere) {
			taken.Store(true)
		}
		complain(path, err)
	}
	o := files.ReceiveOptions{
		Force: c.Bool("force"), Rename: c.Bool("rename"), Portable: c.Bool("portable"),
		MaxBytes: cmdline.SizeOf(c, cmdline.MaxSizeName), MaxEntries: c.Int64(cmdline.MaxFilesName),
		As: as, Owner: t.peer, Report: report,
	}
	err = t.files(c.Context, func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error) {
		return files.Receive(ctx, root, from, to, o)
	})
	if taken.Load() && as == "" && !o.Force && !o.Rename {
		return proto.Hint(err, "--force replaces what is there, --rename stores beside it")
	}
	return err
}

// writeArchive writes files and folders as an archive.
func writeArchive(c *cli.Context, t transfer, format string, out io.Writer, commit func() error) error {
	o := files.ReceiveOptions{
		Portable: c.Bool("portable"), MaxBytes: cmdline.SizeOf(c, cmdline.MaxSizeName), MaxEntries: c.Int64(cmdline.MaxFilesName),
	}
	return t.files(c.Context, func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error) {
		return files.ReceiveArchive(ctx, format, out, commit, from, to, o)
	})
}

// place splits FILE of -o into its folder and its name there.
func place(file string) (dir, name string) { return filepath.Dir(file), filepath.Base(file) }

// collect removes what is left of broken transfers.
func collect(c *cli.Context) error {
	dir := c.String("directory")
	root, err := os.OpenRoot(dir)
	if err != nil {
		return proto.IOError(err)
	}
	defer root.Close()
	return files.Collect(c.Context, root)
}
