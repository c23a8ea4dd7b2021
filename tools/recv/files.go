package recv

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/cmdline/node"
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
	o := files.ReceiveOptions{
		Force: c.Bool("force"), Rename: c.Bool("rename"), Portable: c.Bool("portable"),
		MaxBytes: cmdline.SizeOf(c, cmdline.MaxSizeName), MaxEntries: c.Int64(cmdline.MaxFilesName),
		As: as, Owner: t.peer, Report: node.Complaints(c),
	}
	return t.files(c.Context, func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error) {
		return files.Receive(ctx, root, from, to, o)
	})
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
