// Package recv is mesh-recv, which takes one transfer to standard output, to a
// file or to a folder: it waits for a peer and prints a token, or calls the PEER
// it is given.
package recv

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"mesh/pipe"
	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/wire"
	"mesh/tools/cmdline"
	"mesh/tools/node"
)

// Command returns the tool.
func Command() *cli.Command {
	return &cli.Command{
		Name:      "recv",
		Usage:     "take one transfer to standard output, a file or a folder",
		ArgsUsage: "[PEER]",
		Flags: node.Flags(append([]cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write to `FILE`, which is there only when it is whole and verified"},
			&cli.StringFlag{Name: "directory", Aliases: []string{"C"}, Usage: "store files and folders below `DIR`"},
			&cli.StringFlag{Name: "archive", Usage: "write files and folders as one `zip|tar` to standard output or FILE"},
			&cli.BoolFlag{Name: "next", Usage: "take the next delivery of this user's mesh-listen --inbox", DisableDefaultText: true},
			&cli.BoolFlag{Name: "gc", Usage: "remove what broken transfers have left below DIR, and end", DisableDefaultText: true},
			cmdline.Flows(),
		}, append(cmdline.StoreFlags(), node.ListenFlags()...)...)...),
		Action: run,
	}
}

func run(c *cli.Context) error {
	args, err := cmdline.Args(c, 0, 1)
	if err != nil {
		return err
	}
	if err := check(c, args); err != nil {
		return err
	}
	if c.Bool("gc") {
		return collect(c)
	}
	switch {
	case c.String("archive") != "": // what a zip holds is kept in memory
	case c.String("directory") == "":
		cmdline.Bulk()
	default:
		cmdline.LittleMemory()
	}
	n, err := node.Open(c)
	if err != nil {
		return err
	}
	return n.Close(recv(c, n, args))
}

// check wants the flags to go together.
func check(c *cli.Context, args []string) error {
	output, dir, archive := c.String("output"), c.String("directory"), c.String("archive")
	switch {
	case archive != "" && archive != files.Zip && archive != files.Tar:
		return proto.Errorf(proto.Usage, "--archive is %s or %s", files.Zip, files.Tar)
	case archive != "" && dir != "":
		return proto.Errorf(proto.Usage, "--archive goes to standard output or to -o, not with -C")
	case output != "" && dir != "":
		return proto.Errorf(proto.Usage, "either -o or -C")
	case c.Bool("force") && output == "" && dir == "":
		return proto.Errorf(proto.Usage, "--force goes with -o or -C")
	case c.Bool("force") && c.Bool("rename"):
		return proto.Errorf(proto.Usage, "either --force or --rename")
	case c.Bool("gc") && len(args) > 0:
		return proto.Errorf(proto.Usage, "--gc calls no PEER")
	case c.Bool("gc") && c.Bool("next"):
		return proto.Errorf(proto.Usage, "either --gc or --next")
	case c.Bool("next") && len(args) > 0:
		return proto.Errorf(proto.Usage, "--next calls no PEER")
	}
	for _, flag := range []string{"listen", "addr", "token-file", "ttl"} {
		if c.Bool("next") && c.IsSet(flag) {
			return proto.Errorf(proto.Usage, "--next waits at no address: it goes without --%s", flag)
		}
	}
	for _, flag := range []string{"name", "rename", "gc"} {
		if c.IsSet(flag) && dir == "" {
			return proto.Errorf(proto.Usage, "--%s goes with -C", flag)
		}
	}
	for _, flag := range []string{"portable", cmdline.MaxSizeName, cmdline.MaxFilesName} {
		if c.IsSet(flag) && dir == "" && archive == "" {
			return proto.Errorf(proto.Usage, "--%s goes with -C or --archive", flag)
		}
	}
	if name := c.String("name"); name != "" {
		if err := files.CheckTarget(name); err != nil {
			return proto.Errorf(proto.Usage, "--name: %w", err)
		}
	}
	return nil
}

func recv(c *cli.Context, n *node.Node, args []string) (err error) {
	output, dir, name, archive := c.String("output"), c.String("directory"), c.String("name"), c.String("archive")
	sink, kinds := cmdline.StreamsOf(c).Sink(), []string{wire.KindPipe}
	abort := func() {}
	var commit func() error
	switch {
	case archive != "":
		kinds = []string{wire.KindFiles}
	case name != "":
		output, kinds = filepath.Join(dir, name), []string{wire.KindPipe, wire.KindFiles}
	case dir != "":
		kinds = []string{wire.KindFiles}
		if err := cmdline.CheckFolder(dir); err != nil {
			return err
		}
	case output != "" && output != "-":
		kinds = append(kinds, wire.KindFiles)
	}
	if output != "" && output != "-" {
		file, err := files.Create(output, c.Bool("force"))
		if errors.Is(err, fs.ErrExist) {
			return proto.Hint(err, "--force replaces it")
		}
		if err != nil {
			return err
		}
		abort, commit = file.Abort, file.Commit
		sink = &pipe.Sink{Writer: file, Finish: func(status int) error {
			if status != 0 {
				return nil // not published; the exchange ends with 33
			}
			return file.Commit()
		}}
	}
	defer func() { abort() }()
	t, done, err := open(c, n, args, kinds)
	if err != nil {
		return err
	}
	defer done()
	if t.kind == wire.KindPipe {
		return t.pipe(c.Context, sink)
	}
	if archive != "" {
		return writeArchive(c, t, archive, sink.Writer, commit)
	}
	abort()
	abort = func() {}
	if dir != "" {
		return storeFiles(c, t, dir, "")
	}
	folder, as := place(output)
	return storeFiles(c, t, folder, as)
}

// transfer is one that has begun.
type transfer struct {
	kind  string
	peer  string // node id
	pipe  func(context.Context, *pipe.Sink) error
	files func(context.Context, side) error
	end   func(error) // before it was taken
}

type side func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error)

// open gets a transfer by a link, or from a daemon, and what closes its socket.
func open(c *cli.Context, n *node.Node, args, kinds []string) (transfer, func(), error) {
	if c.Bool("next") {
		t, err := next(c, n, kinds)
		return t, func() {}, err
	}
	l, done, err := dialOrWait(c, n, args, kinds)
	if err != nil {
		return transfer{}, nil, err
	}
	return transfer{
		kind: l.Kind, peer: l.Peer.String(), end: l.Close,
		pipe:  func(ctx context.Context, sink *pipe.Sink) error { return n.Exchange(ctx, l, nil, sink) },
		files: func(ctx context.Context, s side) error { return n.Files(ctx, l, false, s) },
	}, done, nil
}

// dialOrWait gets the link, and what closes its socket.
func dialOrWait(c *cli.Context, n *node.Node, args, kinds []string) (*link.Link, func(), error) {
	if len(args) > 0 { // MESH_PEER is whom mesh-cat calls
		peer, err := n.Peer(args)
		if err != nil {
			return nil, nil, err
		}
		if kinds[0] != wire.KindPipe {
			peer.Kind = kinds[0]
		}
		return n.Dial(c.Context, peer, proto.CapRecv, proto.CapRecv, nil, c.Duration("wait"))
	}
	operand := ""
	if kinds[0] != wire.KindPipe {
		operand = "FILE…"
	}
	w, err := n.Wait(c, node.Offer{Caps: proto.CapSend, Takes: func(kind string) bool { return slices.Contains(kinds, kind) }, Once: true, Command: "mesh-cat", Operand: operand})
	if err != nil {
		return nil, nil, err
	}
	l, err := w.Accept(c.Context)
	if err != nil {
		w.Close()
		return nil, nil, err
	}
	return l, w.Close, nil
}
