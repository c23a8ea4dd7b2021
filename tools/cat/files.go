package cat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/wire"
	"mesh/tools/cmdline"
	"mesh/tools/node"
)

// sendFiles sends the files and folders named.
func sendFiles(c *cli.Context, n *node.Node, peer node.Peer, names []string) error {
	peer.Kind = wire.KindFiles
	l, closeSocket, err := n.Dial(c.Context, peer, proto.CapSend, proto.CapSend, nil, c.Duration("wait"))
	if errors.Is(err, handshake.ErrKind) {
		return proto.Hint(err, "files go to mesh-recv -C DIR, one file also to mesh-recv -o FILE; this peer takes what a file holds: mesh-cat PEER <FILE")
	}
	if err != nil {
		return err
	}
	defer closeSocket()
	return n.Files(c.Context, l, true, func(ctx context.Context, from io.Reader, to io.Writer) (files.Summary, error) {
		return files.Send(ctx, names, from, to, options(c))
	})
}

func options(c *cli.Context) files.SendOptions {
	return files.SendOptions{
		Archive: c.Bool("archive"), Symlinks: c.Bool("symlinks"), SkipSpecial: c.Bool("skip-special"), Report: cmdline.StreamsOf(c).Complaints(),
	}
}

// list prints what would be sent.
func list(c *cli.Context, names []string) error {
	return files.List(names, options(c), func(path string) error {
		if _, err := fmt.Fprintln(c.App.Writer, path); err != nil {
			return fmt.Errorf("write to standard output: %w", cmdline.WriteError(err))
		}
		return nil
	})
}

// checkThere wants all that is named to be there, before a peer is called.
func checkThere(c *cli.Context, names []string) error {
	if c.Bool("archive") {
		if len(names) > 1 {
			return proto.Errorf(proto.Usage, "--archive sends one archive")
		}
		return files.CheckArchive(names[0])
	}
	for _, name := range names {
		if _, err := os.Stat(name); err != nil {
			return proto.IOError(err)
		}
	}
	return nil
}
