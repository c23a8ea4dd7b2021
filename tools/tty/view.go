package tty

import (
	"context"
	"errors"
	"io"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/wire"
	"mesh/tools/cmdline"
	"mesh/tools/cmdline/node"
)

func viewFlags() []cli.Flag { return []cli.Flag{cmdline.Wait()} }

func view(c *cli.Context, n *node.Node, args []string) error {
	peer, err := n.Peer(args)
	if err != nil {
		return err
	}
	peer.Kind = wire.KindTTY
	l, closeSocket, err := n.Dial(c.Context, peer, proto.CapTTYView|proto.CapTTYControl, proto.CapTTYView, nil, c.Duration("wait"))
	if err != nil {
		return err
	}
	defer closeSocket()
	out := node.Stdout(c)
	return n.Dialogue(c.Context, l, func(ctx context.Context, from *io.PipeReader, to *io.PipeWriter) error {
		if _, err := to.Write(wire.AppendFrame(nil, &wire.TermOpen{Mode: wire.TermRaw, Name: c.String("name")})); err != nil {
			return err
		}
		for {
			t, body, err := wire.ReadFrame(from, wire.TypeTermSession, wire.TypeTermOut, wire.TypeTermSnapshot, wire.TypeTermResize, wire.TypeTermMark, wire.TypeTermCtl, wire.TypeTermExit)
			if errors.Is(err, io.EOF) || t == wire.TypeTermExit {
				_ = to.Close()
				_, _ = io.Copy(io.Discard, from)
				return nil
			}
			if err != nil {
				return err
			}
			if t != wire.TypeTermOut {
				continue
			}
			seq, data, err := wire.ParseTermOut(body)
			if err != nil {
				return err
			}
			if _, err := out.Write(data); err != nil {
				return err
			}
			if _, err := to.Write(wire.AppendFrame(nil, &wire.TermAck{Seq: seq + int64(len(data))})); err != nil {
				return err
			}
		}
	})
}
