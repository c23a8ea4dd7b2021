package token

import (
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
)

func peerCommand() *cli.Command {
	return &cli.Command{
		Name:  "peer",
		Usage: "keep the address book",
		Subcommands: []*cli.Command{
			{
				Name: "add", Usage: "give a node a name, and addresses if it has any", ArgsUsage: "NAME NODEID|TOKEN|@FILE",
				Flags:  []cli.Flag{&cli.StringSliceFlag{Name: "addr", Usage: "the peer can be reached at `HOST[:PORT]`; may be repeated"}},
				Action: action(readPeerAdd, addPeer),
			},
			{Name: "list", Usage: "print name, node id and addresses of each peer", Action: action(readNothing, listPeers)},
			{Name: "forget", Usage: "remove a name from the address book", ArgsUsage: "NAME", Action: action(readPeerForget, forgetPeer)},
		},
	}
}

// readPeerAdd returns the entry to add. The node id may come from a token, which
// gives the addresses too unless there are flags for them.
func readPeerAdd(c *cli.Context) (p identity.Peer, err error) {
	args, err := cmdline.Args(c, 1, -1)
	if err != nil {
		return p, err
	}
	p.Name = args[0]
	if len(args) == 1 {
		err := proto.Errorf(proto.Usage, "a node id, a token or @FILE is missing")
		return p, proto.Hint(err, "mesh-token id prints the node id on the other machine; peer add takes NAME and then that")
	}
	var rest []string
	if p.ID, p.Addrs, rest, err = readNode(args[1:]); err != nil {
		return p, err
	}
	if len(rest) > 0 {
		return p, cmdline.TooMany(c, 2+len(rest), 2)
	}
	if c.IsSet("addr") {
		p.Addrs = nodeflags.Addrs(c)
	}
	return p, nil
}

// readNode reads NODEID, or takes the listener's node id and addresses from TOKEN or
// @FILE. rest is what follows.
func readNode(args []string) (id identity.ID, addrs, rest []string, err error) {
	p, rest, err := node.PeerOf(args, "")
	if err != nil {
		return id, nil, nil, err
	}
	t, isToken, err := p.Token()
	if !isToken {
		id, err := readID(p.Text)
		if err != nil {
			return id, nil, nil, proto.Hint(err, "mesh-token id prints it on the other machine")
		}
		return id, nil, rest, nil
	}
	if err == nil && p.IsToken() {
		err = node.CheckArgument(t)
	}
	return t.Listener, t.Addrs, rest, err
}

func addPeer(home string, p identity.Peer, _ cmdline.Streams) error {
	key, book, err := openState(home)
	if err != nil {
		return err
	}
	if p.ID == key.ID() {
		return proto.Errorf(proto.Usage, "the node id is that of this node itself")
	}
	err = book.Add(p)
	if proto.CodeOf(err) == proto.Identity {
		return proto.Hint(err, "if the key was changed on purpose: mesh-token peer forget "+p.Name)
	}
	return err
}

func listPeers(home string, _ nothing, s cmdline.Streams) error {
	_, book, err := openState(home)
	if err != nil {
		return err
	}
	peers, err := book.Known()
	if err != nil {
		return err
	}
	for _, p := range peers {
		if err := s.PrintLine(strings.TrimSpace(p.Name + " " + p.ID.String() + " " + strings.Join(p.Addrs, ","))); err != nil {
			return err
		}
	}
	return nil
}

func readPeerForget(c *cli.Context) (name string, err error) {
	args, err := cmdline.Args(c, 1, 1)
	if err != nil {
		return "", err
	}
	return args[0], nil
}

func forgetPeer(home, name string, _ cmdline.Streams) error {
	_, book, err := openState(home)
	if err != nil {
		return err
	}
	found, err := book.Forget(name)
	if err != nil || found {
		return err
	}
	if err := identity.CheckName(name); err != nil { // does not repeat what may be a token
		return usage(err)
	}
	return proto.Errorf(proto.Usage, "there is no peer %s", name)
}
