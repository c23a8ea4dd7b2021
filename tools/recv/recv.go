// Package recv is mesh-recv, which takes one transfer to standard output or to
// a file: it waits for a peer and prints a token, or calls the PEER it is given.
package recv

import (
	"errors"
	"io/fs"

	"github.com/urfave/cli/v2"

	"mesh/pipe"
	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/link"
	"mesh/tools/cmdline"
	"mesh/tools/cmdline/node"
)

// Command returns the tool.
func Command() *cli.Command {
	return &cli.Command{
		Name:      "recv",
		Usage:     "take one transfer to standard output or a file",
		ArgsUsage: "[PEER]",
		Flags: node.Flags(append([]cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write to `FILE`, which is there only when it is whole and verified"},
			&cli.BoolFlag{Name: "force", Usage: "let -o replace an existing file", DisableDefaultText: true},
			cmdline.Flows(),
		}, node.ListenFlags()...)...),
		Action: run,
	}
}

func run(c *cli.Context) error {
	args, err := cmdline.Args(c, 0, 1)
	if err != nil {
		return err
	}
	if c.Bool("force") && c.String("output") == "" {
		return proto.Errorf(proto.Usage, "--force goes with -o")
	}
	cmdline.Bulk()
	n, err := node.Open(c)
	if err != nil {
		return err
	}
	return n.Close(recv(c, n, args))
}

func recv(c *cli.Context, n *node.Node, args []string) (err error) {
	sink := node.Stdout(c)
	if name := c.String("output"); name != "" && name != "-" {
		file, err := files.Create(name, c.Bool("force"))
		if errors.Is(err, fs.ErrExist) {
			return cmdline.Hint(err, "--force replaces it")
		}
		if err != nil {
			return err
		}
		defer file.Abort()
		sink = &pipe.Sink{Writer: file, Finish: func(status int) error {
			if status != 0 {
				return nil // not published; the exchange ends with 33
			}
			return file.Commit()
		}}
	}
	l, done, err := dialOrWait(c, n, args)
	if err != nil {
		return err
	}
	defer done()
	return n.Exchange(c.Context, l, nil, sink)
}

// dialOrWait gets the link, and what closes its socket.
func dialOrWait(c *cli.Context, n *node.Node, args []string) (*link.Link, func(), error) {
	if len(args) > 0 { // MESH_PEER is whom mesh-cat calls
		peer, err := n.Peer(args)
		if err != nil {
			return nil, nil, err
		}
		return n.Dial(c.Context, peer, proto.CapRecv, proto.CapRecv, nil, c.Duration("wait"))
	}
	w, err := n.Wait(c, node.Offer{Caps: proto.CapSend, Once: true, Command: "mesh-cat"})
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
