package token

import (
	"context"
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/tools/cmdline"
	"mesh/tools/nodeflags"
	"mesh/tools/paste"
)

// allowOptions say what a node may do here without a token.
type allowOptions struct {
	node string // a node id, a name of the address book, or NAME@HOST
	caps proto.Caps
	hub  string // the value of --hub
	// trust is "hub" if the word of the hub about a key is enough.
	trust string
}

func readAllow(c *cli.Context) (o allowOptions, err error) {
	args, err := cmdline.Args(c, 1, 2)
	if err != nil {
		return o, err
	}
	o.node, o.caps, o.hub, o.trust = args[0], proto.CapSend, c.String("hub"), c.String("trust")
	if len(args) == 1 {
		return o, nil
	}
	if args[1] == "none" {
		o.caps = 0
		return o, nil
	}
	if o.caps, err = proto.ParseCaps(args[1]); err != nil {
		return o, usage(err)
	}
	return o, nil
}

func allow(ctx context.Context, home string, o allowOptions, s cmdline.Streams) error {
	_, book, err := openState(home)
	if err != nil {
		return err
	}
	var id identity.ID
	if name, _, at := strings.Cut(paste.Word(o.node), "@"); at && name != "" && o.caps != 0 {
		id, err = lookUp(ctx, home, o, s)
	} else {
		id, err = findNode(book, o.node)
	}
	if err != nil {
		return err
	}
	return book.Allow(id, o.caps)
}

// lookUp returns the node NAME@HOST: as the address book has it, else as the hub says and
// the user agrees.
func lookUp(ctx context.Context, home string, o allowOptions, s cmdline.Streams) (identity.ID, error) {
	n, err := nodeflags.Options{State: home, Hub: o.hub, Trust: o.trust}.Open(s)
	if err != nil {
		return identity.ID{}, err
	}
	id, err := n.Introduce(ctx, paste.Word(o.node))
	return id, n.Close(err)
}

// findNode returns the node that text means: a node id, or a name of the address book.
func findNode(book identity.Book, text string) (identity.ID, error) {
	if text = paste.Word(text); identity.CheckName(text) != nil {
		return readID(text)
	}
	p, found, err := book.Lookup(text)
	if err == nil && !found {
		err = proto.Hint(proto.Errorf(proto.Usage, "unknown peer %s", text), "mesh-token peer add "+text+" NODEID adds it to the address book; "+text+"@HOST is looked up at a hub")
	}
	return p.ID, err
}

// readID reads a node id that a person has copied.
func readID(text string) (identity.ID, error) {
	id, err := identity.ParseID(strings.ToLower(paste.Word(text)))
	if err != nil {
		return id, usage(err)
	}
	return id, nil
}

// printAllowed prints a line for each node: its id, its capabilities and its names.
func printAllowed(home string, _ nothing, s cmdline.Streams) error {
	_, book, err := openState(home)
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
		if err := s.PrintLine(line); err != nil {
			return err
		}
	}
	return nil
}
