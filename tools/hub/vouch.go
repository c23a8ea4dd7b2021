package hub

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe/term"
	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/paste"
)

// defaultVouchFor is the default of mesh-hub vouch --for.
const defaultVouchFor = 365 * 24 * time.Hour

func vouchCommand() *cli.Command {
	life := cmdline.Duration(defaultVouchFor)
	return &cli.Command{
		Name: "vouch", Usage: "print a voucher mv1…: your signed word about a node", ArgsUsage: "NODEID",
		Description: "Without --name and --room it lets the node log in to hubs that list you as an\nissuer in hub_access. It needs no hub.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "say that the node is `NAME`: nodes that trust you as an issuer take its key for that name"},
			&cli.StringFlag{Name: "room", Usage: "say that the node belongs to `ROOM`: it gets what [rooms.ROOM] allows where you are the owner"},
			&cli.GenericFlag{Name: "for", Value: &life, Usage: "the voucher holds for `DUR`"},
		},
		Action: cmdline.HomeAction(readVouch, vouch),
	}
}

// readVouch returns the voucher to sign; Expires counts from now.
func readVouch(c *cli.Context) (v hub.Voucher, err error) {
	name, room := strings.ToLower(c.String("name")), c.String("room")
	word, err := readWord(c)
	if err != nil {
		return v, err
	}
	if v.Subject, err = readID(word); err != nil {
		return v, proto.Hint(err, "mesh-token id prints it on the other machine")
	}
	life := c.Duration("for")
	if life < time.Second {
		return v, proto.Errorf(proto.Usage, "--for is at least 1s")
	}
	v.Kind, v.Expires = hub.VoucherAdmit, time.Now().Add(life)
	switch {
	case c.IsSet("name") && c.IsSet("room"):
		return v, proto.Errorf(proto.Usage, "a voucher is for --name or for --room: make two")
	case c.IsSet("name"):
		v.Kind, v.Text, err = hub.VoucherName, name, hub.CheckName(name)
	case c.IsSet("room"):
		v.Kind, v.Text, err = hub.VoucherRoom, room, hub.CheckRoom(room)
	}
	if err != nil {
		return v, proto.Errorf(proto.Usage, "%w", err)
	}
	return v, nil
}

// readID reads a node id that a person has copied.
func readID(text string) (identity.ID, error) {
	id, err := identity.ParseID(strings.ToLower(paste.Word(text)))
	if err != nil {
		return id, proto.Errorf(proto.Usage, "%w", err)
	}
	return id, nil
}

// vouch signs a voucher with the key of this node.
func vouch(_ context.Context, home string, v hub.Voucher, s cmdline.Streams) error {
	if err := s.RequireOut(); err != nil {
		return err
	}
	key, err := node.LoadKey(home)
	if err != nil {
		return err
	}
	if v, err = hub.NewVoucher(key, v); err != nil {
		return proto.Errorf(proto.Usage, "%w", err)
	}
	text, err := v.Encode()
	if err != nil {
		return err
	}
	if err := s.PrintLine(text); err != nil {
		return err
	}
	how := text
	if !term.IsTerminal(s.Out) {
		how = "mv1…"
	}
	fmt.Fprintf(s.Err, "on the other machine, run: mesh-hub join %s\n", how)
	return nil
}

// keepVoucher keeps a voucher about this node, which shows it at hubs from now on.
func keepVoucher(home string, v hub.Voucher, s cmdline.Streams) error {
	key, err := node.LoadKey(home)
	if err != nil {
		return err
	}
	if v.Holder() != key.ID() {
		err := proto.Errorf(proto.Usage, "the voucher is about the node %s, and this is %s", v.Holder(), key.ID())
		return proto.Hint(err, "mesh-token id prints the id that the issuer needs")
	}
	now := time.Now()
	if err := v.Check(key.ID(), v.Hub, now); err != nil {
		return err
	}
	if err := (agent.Vouchers{Dir: home}).Add(v, now); err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "%s: kept until %s: %s says that this node %s\n", s.Name, v.Ends().UTC().Format(time.DateOnly), v.Issuer.Short(), says(v))
	return nil
}

// handOn keeps the voucher of an invite with which this node has joined, and says by whom it
// is. A hub that does not say that the node has joined makes it worthless.
func handOn(home string, i hub.Invite, c *agent.Conn, s cmdline.Streams) {
	key, err := node.LoadKey(home)
	if err == nil && c.Welcome.Joined == nil {
		err = proto.Errorf(proto.Protocol, "the hub does not confirm the voucher in the invite, which is not kept")
	}
	if err == nil {
		err = keepVoucher(home, i.Voucher.HandOn(i, key.ID(), *c.Welcome.Joined), s)
	}
	if err != nil {
		s.Complain(err)
		return
	}
	fmt.Fprintf(s.Err, "%s: hint: if %s is to vouch for names here: mesh-hub issuer add %s\n", s.Name, i.Voucher.Issuer.Short(), i.Voucher.Issuer)
}

// shown returns the function that says which vouchers are shown at a hub.
func shown(home string, key *identity.Key, s cmdline.Streams) func(identity.ID) []string {
	return func(at identity.ID) []string {
		texts, err := agent.Vouchers{Dir: home}.Shown(key.ID(), at, time.Now())
		if err != nil {
			s.Complain(err)
		}
		return texts
	}
}

// says returns what a voucher says, in words behind the node.
func says(v hub.Voucher) string {
	switch v.Kind {
	case hub.VoucherName:
		return "is " + v.Text
	case hub.VoucherRoom:
		return "belongs to the room " + v.Text
	}
	return "may log in to hubs"
}

// issuerCommand edits trusted_issuers.
func issuerCommand() *cli.Command {
	return &cli.Command{
		Name: "issuer", Usage: "list, add or forget the issuers whose vouchers count here",
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "print node id and what the issuer is trusted with", Action: cmdline.HomeAction(readNothing, listIssuers)},
			{
				Name: "add", Usage: "trust an issuer with names, or with the room ROOM", ArgsUsage: "NODEID [name|room:ROOM|admit]",
				Action: cmdline.HomeAction(readIssuer, addIssuer),
			},
			{Name: "forget", Usage: "trust an issuer with nothing any more", ArgsUsage: "NODEID", Action: cmdline.HomeAction(readIssuerID, forgetIssuer)},
		},
	}
}

func readIssuer(c *cli.Context) (i agent.Issuer, err error) {
	args, err := cmdline.Args(c, 1, 2)
	if err != nil {
		return i, err
	}
	args[0] = strings.ToLower(paste.Word(args[0]))
	if i, err = agent.ParseIssuer(args); err != nil {
		return i, proto.Errorf(proto.Usage, "%w", err)
	}
	return i, nil
}

func readIssuerID(c *cli.Context) (identity.ID, error) {
	word, err := readWord(c)
	if err != nil {
		return identity.ID{}, err
	}
	return readID(word)
}

func listIssuers(_ context.Context, home string, _ nothing, s cmdline.Streams) error {
	list, err := agent.Issuers{Dir: home}.List()
	if err != nil {
		return err
	}
	for _, i := range list {
		if err := s.PrintLine(i.ID.String() + "\t" + i.Word()); err != nil {
			return err
		}
	}
	return nil
}

func addIssuer(_ context.Context, home string, i agent.Issuer, _ cmdline.Streams) error {
	if _, err := node.LoadKey(home); err != nil { // creates home, and checks its files
		return err
	}
	return agent.Issuers{Dir: home}.Add(i)
}

func forgetIssuer(_ context.Context, home string, id identity.ID, _ cmdline.Streams) error {
	found, err := agent.Issuers{Dir: home}.Forget(id)
	if err == nil && !found {
		err = proto.Hint(proto.Errorf(proto.Usage, "no such issuer"), "mesh-hub issuer list prints the issuers")
	}
	return err
}
