package token

import (
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/tools/cmdline"
	"mesh/tools/paste"
)

// allowOptions say what a node may do here without a token.
type allowOptions struct {
	node string // a node id, or a name of the address book
	caps proto.Caps
}

func readAllow(c *cli.Context) (o allowOptions, err error) {
	args, err := cmdline.Args(c, 1, 2)
	if err != nil {
		return o, err
	}
	o.node, o.caps = args[0], proto.CapSend
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

func allow(home string, o allowOptions, _ cmdline.Streams) error {
	_, book, err := openState(home)
	if err != nil {
		return err
	}
	id, err := findNode(book, o.node)
	if err != nil {
		return err
	}
	return book.Allow(id, o.caps)
}

// findNode returns the node that text means: a node id, or a name of the address book.
func findNode(book identity.Book, text string) (identity.ID, error) {
	if text = paste.Word(text); identity.CheckName(text) != nil {
		return readID(text)
	}
	p, found, err := book.Lookup(text)
	if err == nil && !found {
		err = proto.Hint(proto.Errorf(proto.Usage, "unknown peer %s", text), "mesh-token peer add "+text+" NODEID adds it to the address book")
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
