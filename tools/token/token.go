// Package token is mesh-token: tokens made, shown and revoked, the node id, and
// the address book. What was asked for goes to standard output.
package token

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/tools/cmdline"
	"mesh/tools/node"
)

// Command returns the tool.
func Command() *cli.Command {
	return &cli.Command{
		Name:      "token",
		Usage:     "make, show and revoke tokens; keep the address book",
		ArgsUsage: "COMMAND",
		Subcommands: []*cli.Command{
			{Name: "id", Usage: "print this node's id", Action: id},
			newCommand(),
			showCommand(),
			{Name: "revoke", Usage: "make a token worthless and end its links", ArgsUsage: "ID", Action: revoke},
			peerCommand(),
			{Name: "allow", Usage: "let a node do CAPS here without a token; none takes that back", ArgsUsage: "NODEID|NAME CAPS", Action: allow},
			{Name: "allowed", Usage: "print who may do what here without a token: node id, CAPS and names", Action: allowed},
		},
	}
}

// state is the key and the address book of this node.
func state() (*identity.Key, identity.Book, error) {
	dir, err := cmdline.Home()
	if err != nil {
		return nil, identity.Book{}, err
	}
	key, err := node.LoadKey(dir)
	return key, identity.Book{Dir: dir}, err
}

// printLine writes one line to standard output.
func printLine(c *cli.Context, line string) error {
	if _, err := io.WriteString(c.App.Writer, line+"\n"); err != nil {
		return fmt.Errorf("write to standard output: %w", cmdline.WriteError(err))
	}
	return nil
}

func id(c *cli.Context) error {
	if _, err := cmdline.Args(c, 0, 0); err != nil {
		return err
	}
	key, _, err := state()
	if err != nil {
		return err
	}
	return printLine(c, key.ID().String())
}

func newCommand() *cli.Command {
	return &cli.Command{
		Name:  "new",
		Usage: "print a token for a mesh-listen with the same MESH_HOME",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "allow", Value: proto.CapSend.String(), Usage: "let the bearer do `CAPS`: " + proto.AllCaps.String()},
			cmdline.TTL(),
			&cli.UintFlag{Name: "uses", Value: 1, Usage: "let `N` nodes use it; 0 for any number"},
			&cli.StringFlag{Name: "to", Usage: "let only `NODEID` use it"},
			cmdline.Addr(),
		},
		Action: newToken,
	}
}

func newToken(c *cli.Context) error {
	if _, err := cmdline.Args(c, 0, 0); err != nil {
		return err
	}
	caps, err := proto.ParseCaps(c.String("allow"))
	if err != nil {
		return proto.Errorf(proto.Usage, "--allow: %w", err)
	}
	var holder identity.ID
	if to := c.String("to"); to != "" {
		if holder, err = identity.ParseID(to); err != nil {
			return proto.Errorf(proto.Usage, "--to: %w", err)
		}
	}
	if c.Uint("uses") > math.MaxUint16 {
		return proto.Errorf(proto.Usage, "--uses is at most %d", math.MaxUint16)
	}
	key, book, err := state()
	if err != nil {
		return err
	}
	addrs := c.StringSlice("addr")
	if len(addrs) == 0 {
		if addrs, err = node.ListenerAddrs(book); err != nil {
			return err
		}
	}
	if len(addrs) == 0 {
		return proto.Hint(proto.Errorf(proto.Usage, "no mesh-listen has run here yet, so its address is not known"), "--addr HOST:PORT says where it will be")
	}
	t, err := token.NewCapability(key, caps, c.Duration("ttl"), uint16(c.Uint("uses")), holder, addrs)
	if err != nil {
		return &proto.Error{Code: proto.Usage, Err: err}
	}
	text, err := t.Encode()
	if err != nil {
		return &proto.Error{Code: proto.Usage, Err: err}
	}
	return printLine(c, text)
}

func revoke(c *cli.Context) error {
	args, err := cmdline.Args(c, 1, 1)
	if err != nil {
		return err
	}
	id, err := token.ParseID(args[0])
	if err != nil {
		return proto.Hint(&proto.Error{Code: proto.Usage, Err: err}, "mesh-token show prints a token's id")
	}
	_, book, err := state()
	if err != nil {
		return err
	}
	return token.Revoke(book.Dir, id)
}

func allow(c *cli.Context) error {
	args, err := cmdline.Args(c, 2, 2)
	if err != nil {
		return err
	}
	var caps proto.Caps
	if args[1] != "none" {
		if caps, err = proto.ParseCaps(args[1]); err != nil {
			return &proto.Error{Code: proto.Usage, Err: err}
		}
	}
	_, book, err := state()
	if err != nil {
		return err
	}
	id, err := whoIs(book, args[0])
	if err != nil {
		return err
	}
	return book.Allow(id, caps)
}

func allowed(c *cli.Context) error {
	if _, err := cmdline.Args(c, 0, 0); err != nil {
		return err
	}
	_, book, err := state()
	if err != nil {
		return err
	}
	grants, err := book.Grants()
	if err != nil {
		return err
	}
	peers, err := book.Known()
	if err != nil {
		return err
	}
	names := make(map[identity.ID][]string)
	for _, p := range peers {
		names[p.ID] = append(names[p.ID], p.Name)
	}
	for _, g := range grants {
		line := strings.TrimSpace(g.ID.String() + " " + g.Caps.String() + " " + strings.Join(names[g.ID], ","))
		if err := printLine(c, line); err != nil {
			return err
		}
	}
	return nil
}

// whoIs is the node that a node id, or a name of the address book, stands for.
func whoIs(book identity.Book, text string) (identity.ID, error) {
	if identity.CheckName(text) == nil {
		p, found, err := book.Lookup(text)
		if err == nil && !found {
			err = proto.Hint(proto.Errorf(proto.Usage, "unknown peer %s", text), "mesh-token peer add "+text+" NODEID gives the name")
		}
		return p.ID, err
	}
	id, err := identity.ParseID(text)
	if err != nil {
		err = &proto.Error{Code: proto.Usage, Err: err}
	}
	return id, err
}
