package token

import (
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/tools/cmdline"
	"mesh/tools/node"
)

func peerCommand() *cli.Command {
	return &cli.Command{
		Name:  "peer",
		Usage: "keep the address book",
		Subcommands: []*cli.Command{
			{
				Name: "add", Usage: "give a node a name, and addresses if it has them", ArgsUsage: "NAME NODEID|TOKEN|@FILE",
				Flags:  []cli.Flag{&cli.StringSliceFlag{Name: "addr", Usage: "find the peer at `HOST:PORT`; may be repeated"}},
				Action: peerAdd,
			},
			{Name: "list", Usage: "print name, node id and addresses of each peer", Action: peerList},
			{Name: "forget", Usage: "take a name out of the address book", ArgsUsage: "NAME", Action: peerForget},
		},
	}
}

func peerAdd(c *cli.Context) error {
	args, err := cmdline.Args(c, 2, 2)
	if err != nil {
		return err
	}
	id, addrs, err := nodeOf(args[1])
	if err != nil {
		return err
	}
	if c.IsSet("addr") {
		addrs = c.StringSlice("addr")
	}
	key, book, err := state()
	if err != nil {
		return err
	}
	if id == key.ID() {
		return proto.Errorf(proto.Usage, "that is this node's own id")
	}
	err = book.Add(identity.Peer{Name: args[0], ID: id, Addrs: addrs})
	if proto.CodeOf(err) == proto.Identity {
		return proto.Hint(err, "if the key was changed on purpose: mesh-token peer forget "+args[0])
	}
	return err
}

// nodeOf reads a node id, or takes it and the addresses from a token.
func nodeOf(text string) (identity.ID, []string, error) {
	file, isFile := strings.CutPrefix(text, "@")
	var t token.Token
	var err error
	switch {
	case isFile:
		t, err = node.ReadToken(file)
	case strings.HasPrefix(text, token.Prefix):
		if t, err = node.ParseToken(strings.NewReader(text)); err == nil {
			err = node.CheckArgument(t)
		}
	default:
		id, err := identity.ParseID(text)
		if err != nil {
			return id, nil, proto.Hint(&proto.Error{Code: proto.Usage, Err: err}, "mesh-token id prints it on the other side")
		}
		return id, nil, nil
	}
	return t.Listener, t.Addrs, err
}

func peerList(c *cli.Context) error {
	if _, err := cmdline.Args(c, 0, 0); err != nil {
		return err
	}
	_, book, err := state()
	if err != nil {
		return err
	}
	peers, err := book.Known()
	if err != nil {
		return err
	}
	for _, p := range peers {
		if err := printLine(c, strings.TrimSpace(p.Name+" "+p.ID.String()+" "+strings.Join(p.Addrs, ","))); err != nil {
			return err
		}
	}
	return nil
}

func peerForget(c *cli.Context) error {
	args, err := cmdline.Args(c, 1, 1)
	if err != nil {
		return err
	}
	_, book, err := state()
	if err != nil {
		return err
	}
	found, err := book.Forget(args[0])
	if err != nil || found {
		return err
	}
	if err := identity.CheckName(args[0]); err != nil {
		return &proto.Error{Code: proto.Usage, Err: err}
	}
	return proto.Errorf(proto.Usage, "there is no peer %s", args[0])
}
