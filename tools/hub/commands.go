package hub

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/hub/serve"
	"mesh/proto/identity"
	"mesh/tools/cmdline"
)

// adminCommands are the commands of an admin.
func adminCommands() []*cli.Command {
	return append(remoteCommands(), importCommand())
}

// remoteCommands are those that use the API of a hub, here or elsewhere. Each has --hub.
func remoteCommands() []*cli.Command {
	all := []*cli.Command{
		inviteCommand(),
		memberCommand(),
		{
			Name: "name", Usage: "list names, or take one from its owner",
			Subcommands: []*cli.Command{
				{Name: "list", Usage: "print name, node id, whether it is online, and since when it is taken", Action: adminAction(readNothing, listNames)},
				{Name: "free", Usage: "take a name from its owner, or the invite that reserves it", ArgsUsage: "NAME", Action: adminAction(readWord, remove("names/"))},
			},
		},
		{
			Name: "session", Usage: "list open sessions, or end one",
			Subcommands: []*cli.Command{
				{Name: "list", Usage: "print id, dialer, listener, kind and state", Action: adminAction(readNothing, listSessions)},
				{Name: "end", Usage: "end a session; a link that it brought goes on", ArgsUsage: "ID", Action: adminAction(readWord, remove("sessions/"))},
			},
		},
		{
			Name: "ban", Usage: "keep nodes or networks out",
			Subcommands: []*cli.Command{
				{Name: "list", Usage: "print what is banned, and since when", Action: adminAction(readNothing, listBans)},
				{Name: "add", Usage: "ban a node, an address or a network", ArgsUsage: "NODEID|ADDRESS|CIDR", Action: adminAction(readWord, put("bans/"))},
				{Name: "remove", Usage: "end a ban", ArgsUsage: "NODEID|ADDRESS|CIDR", Action: adminAction(readWord, remove("bans/"))},
			},
		},
		{
			Name: "log", Usage: "print who changed what, one JSON object a line",
			Flags:  []cli.Flag{&cli.Uint64Flag{Name: "after", Usage: "begin after the line with the number `N`"}},
			Action: adminAction(readLog, printLog),
		},
		{Name: "export", Usage: "print members, names, invites and bans, for import", Action: adminAction(readNothing, export)},
		{Name: "drain", Usage: "send the nodes away and end the hub", Action: adminAction(readNothing, drain)},
	}
	for _, c := range all {
		for _, leaf := range append(c.Subcommands, c) {
			if leaf.Action != nil {
				leaf.Flags = append(leaf.Flags, hubFlag())
			}
		}
	}
	return all
}

// hubFlag is --hub, which names the hub of a command.
func hubFlag() cli.Flag {
	return &cli.StringFlag{Name: "hub", Usage: "use the hub at `URL`", DefaultText: "the one of this machine, else the one that this node has joined"}
}

func memberCommand() *cli.Command {
	return &cli.Command{
		Name: "member", Usage: "list, add or remove members",
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "print node id, name, since when, until when, and whether it was removed", Action: adminAction(readNothing, listMembers)},
			{
				Name: "add", Usage: "make a node a member", ArgsUsage: "NODEID",
				Flags:  []cli.Flag{&cli.GenericFlag{Name: "for", Value: new(cmdline.Duration), Usage: "for `DUR`", DefaultText: "no end"}},
				Action: adminAction(readMember, addMember),
			},
			{Name: "remove", Usage: "take the membership and the names of a node, and disconnect it", ArgsUsage: "NODEID", Action: adminAction(readNode, remove("members/"))},
		},
	}
}

// adminAction is [cmdline.HomeAction] for the admins of a hub.
func adminAction[O any](read func(*cli.Context) (O, error), run func(context.Context, *admin, O, cmdline.Streams) error) cli.ActionFunc {
	readAll := func(c *cli.Context) (atHub[O], error) {
		o, err := read(c)
		return atHub[O]{c.String("hub"), o}, err
	}
	return cmdline.HomeAction(readAll, func(ctx context.Context, home string, o atHub[O], s cmdline.Streams) error {
		a, err := newAdmin(ctx, home, o.hub, s)
		if err != nil {
			return err
		}
		a.home = home
		return run(ctx, a, o.of, s)
	})
}

// atHub are the options of a command and the value of --hub.
type atHub[O any] struct {
	hub string
	of  O
}

// nothing is the options of a command without arguments and flags.
type nothing struct{}

func readNothing(c *cli.Context) (nothing, error) {
	_, err := cmdline.Args(c, 0, 0)
	return nothing{}, err
}

func readWord(c *cli.Context) (string, error) {
	args, err := cmdline.Args(c, 1, 1)
	if err != nil {
		return "", err
	}
	return args[0], nil
}

func readNode(c *cli.Context) (string, error) {
	word, err := readWord(c)
	if err != nil {
		return "", err
	}
	if _, err := identity.ParseID(word); err != nil {
		return "", proto.Hint(proto.Errorf(proto.Usage, "%w", err), "mesh-hub member list prints the node ids")
	}
	return word, nil
}

// remove returns a function that deletes what a word names below a path.
func remove(path string) func(context.Context, *admin, string, cmdline.Streams) error {
	return send(http.MethodDelete, path)
}

func put(path string) func(context.Context, *admin, string, cmdline.Streams) error {
	return send(http.MethodPut, path)
}

func send(method, path string) func(context.Context, *admin, string, cmdline.Streams) error {
	return func(ctx context.Context, a *admin, word string, _ cmdline.Streams) error {
		if word == "" || word == "." || word == ".." {
			return proto.Errorf(proto.Usage, "%s is not valid here", proto.QuoteText(word))
		}
		return a.do(ctx, method, path+url.PathEscape(word), nil, nil)
	}
}

// memberOptions are a node and how long it is to be a member; 0 for no end.
type memberOptions struct {
	node string
	life time.Duration
}

func readMember(c *cli.Context) (memberOptions, error) {
	node, err := readNode(c)
	o := memberOptions{node, c.Duration("for")}
	if err == nil && (o.life < 0 || c.IsSet("for") && o.life < time.Second) {
		err = proto.Errorf(proto.Usage, "--for is at least 1s")
	}
	return o, err
}

func addMember(ctx context.Context, a *admin, o memberOptions, _ cmdline.Streams) error {
	var n serve.NewMember
	if o.life > 0 {
		n.Until = time.Now().Add(o.life).UTC().Truncate(time.Second)
	}
	return a.do(ctx, http.MethodPut, "members/"+o.node, n, nil)
}

func drain(ctx context.Context, a *admin, _ nothing, _ cmdline.Streams) error {
	return a.do(ctx, http.MethodPost, "drain", nil, nil)
}
