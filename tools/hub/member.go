package hub

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/paste"
)

// memberCommands are the commands of a node that uses hubs.
func memberCommands() []*cli.Command {
	return []*cli.Command{
		{Name: "join", Usage: "use a hub: WHAT is an invite, a voucher, @FILE with one, or a URL", ArgsUsage: "WHAT", Action: cmdline.HomeAction(readJoin, join)},
		{Name: "leave", Usage: "forget a hub and its key", ArgsUsage: "[URL]", Action: cmdline.HomeAction(readLeave, leave)},
		vouchCommand(),
		issuerCommand(),
		{Name: "status", Usage: "print each hub of this node, and how it answers", Action: cmdline.HomeAction(readStatus, status)},
		whoCommand(),
	}
}

// joinOptions are what mesh-hub join was given.
type joinOptions struct {
	url     hub.URL
	invite  *hub.Invite  // nil for a URL
	voucher *hub.Voucher // alone: it is about this node
}

func readJoin(c *cli.Context) (o joinOptions, err error) {
	args, err := cmdline.Args(c, 1, 1)
	if err != nil {
		return o, err
	}
	text := paste.Word(args[0])
	if file, ok := strings.CutPrefix(text, "@"); ok {
		if text, err = readInviteFile(file); err != nil {
			return o, err
		}
	}
	if strings.Contains(text, "://") {
		if o.url, err = hub.ParseURL(text); err != nil {
			err = &proto.Error{Code: proto.Usage, Err: err}
		}
		return o, err
	}
	if strings.HasPrefix(text, hub.VoucherPrefix) {
		v, err := hub.ParseVoucher(text)
		return joinOptions{voucher: &v}, err
	}
	i, err := hub.ParseInvite(text)
	if err != nil {
		return o, proto.Hint(err, "mesh-hub join takes an invite, which begins with mi1, a voucher, which begins with mv1, @FILE with one, or the URL of a hub: wss://…")
	}
	return joinOptions{url: i.URL, invite: &i}, nil
}

// readInviteFile returns the word in a file.
func readInviteFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", proto.Hint(proto.IOError(err), "@FILE is a file that holds an invite")
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, paste.MaxFileBytes))
	if err != nil {
		return "", proto.IOError(err)
	}
	return paste.Word(string(text)), nil
}

// join logs in at a hub once, which makes this node a member if there is an invite, and
// keeps the hub with its key. A voucher it keeps.
func join(ctx context.Context, home string, o joinOptions, s cmdline.Streams) error {
	if o.voucher != nil {
		return keepVoucher(home, *o.voucher, s)
	}
	key, err := node.LoadKey(home)
	if err != nil {
		return err
	}
	known := agent.Known{Dir: home}
	u := o.url
	old, found, err := known.Find(u)
	if err != nil {
		return err
	}
	if found && u.Key != (identity.ID{}) {
		if err := agent.Changed(old, u); err != nil {
			return err
		}
	}
	if found {
		u = old
	}
	login, err := loginOptions(home, u, key, s)
	if err != nil {
		return err
	}
	login.Invite = o.invite
	c, err := agent.Dial(ctx, login, func(hub.Event) {})
	if err != nil {
		return joinHint(o, key.ID(), err)
	}
	defer c.Close()
	u.Key, u.Proxy = c.Hub, u.TLS && !c.Bound
	if err := known.Add(u); err != nil {
		return err
	}
	if o.invite != nil && o.invite.Voucher != nil {
		defer handOn(home, *o.invite, c, s)
	}
	as := ""
	if c.Welcome.Name != "" {
		as = " as " + proto.EscapeText(c.Welcome.Name)
	}
	fmt.Fprintf(s.Err, "%s: joined hub %s%s\n", s.Name, u.Name(), as)
	return nil
}

// joinHint adds to the error of a join what can be done about it.
func joinHint(o joinOptions, id identity.ID, err error) error {
	if proto.CodeOf(err) == proto.Denied && o.invite != nil {
		return proto.Hint(err, "the invite may be used up or expired: ask for a new one")
	}
	return loginHint(id, err)
}

// loginOptions are those of a login as this node, over the proxy of the settings.
func loginOptions(home string, u hub.URL, key *identity.Key, s cmdline.Streams) (agent.Options, error) {
	reach, err := cmdline.ReadReach()
	return agent.Options{URL: u, Key: key, Instance: hub.NewID(), Agent: software(), Vouchers: shown(home, key, s), Proxy: reach.Proxy}, err
}

// loginHint adds to the error of a login what can be done about it.
func loginHint(id identity.ID, err error) error {
	switch proto.CodeOf(err) {
	case proto.Denied:
		return proto.Hint(err, node.MemberHint(id))
	case proto.Unreachable:
		return proto.Hint(err, "mesh-hub serve must run there; it prints the line with its address")
	}
	return err
}

// readLeave returns the URL or the host to forget, "" for the only hub.
func readLeave(c *cli.Context) (string, error) {
	args, err := cmdline.Args(c, 0, 1)
	if err != nil || len(args) == 0 {
		return "", err
	}
	return paste.Word(args[0]), nil
}

// leave forgets a hub. The hub is not told: there this node stays a member.
func leave(_ context.Context, home, what string, s cmdline.Streams) error {
	known := agent.Known{Dir: home}
	hubs, err := known.List()
	if err != nil {
		return err
	}
	var meant []hub.URL
	for _, u := range hubs {
		if what == "" || isMeant(u, what) {
			meant = append(meant, u)
		}
	}
	switch {
	case len(meant) == 0 && len(hubs) == 0:
		return proto.Errorf(proto.Usage, "this node has no hub")
	case len(meant) == 0:
		return proto.Hint(proto.Errorf(proto.Usage, "this node does not use that hub"), "mesh-hub status lists the hubs")
	case len(meant) > 1:
		return proto.Hint(proto.Errorf(proto.Usage, "%d hubs are meant: give the URL of one", len(meant)), "mesh-hub status lists the hubs")
	}
	_, err = known.Remove(meant[0])
	return err
}

// isMeant reports whether a text is the URL of a hub, its host, or its host and port.
func isMeant(u hub.URL, what string) bool {
	if named, err := hub.ParseURL(what); err == nil {
		return named.Origin() == u.Origin() && named.Path == u.Path
	}
	return strings.EqualFold(what, u.Name()) || strings.EqualFold(what, u.Host)
}

func readStatus(c *cli.Context) (struct{}, error) {
	_, err := cmdline.Args(c, 0, 0)
	return struct{}{}, err
}

// status logs in at each hub of known_hubs and prints what came of it. It fails as the
// first login that failed.
func status(ctx context.Context, home string, _ struct{}, s cmdline.Streams) error {
	key, err := node.LoadKey(home)
	if err != nil {
		return err
	}
	hubs, err := agent.Known{Dir: home}.List()
	if err != nil {
		return err
	}
	if len(hubs) == 0 {
		return errNoHub()
	}
	var failed error
	for _, u := range hubs {
		o, err := loginOptions(home, u, key, s)
		if err != nil {
			return err
		}
		line, err := statusOf(ctx, o)
		if failed == nil {
			failed = err
		}
		if err := s.PrintLine(u.String() + " " + line); err != nil {
			return err
		}
		if err != nil {
			s.Complain(err)
		}
	}
	return cmdline.Silent(failed)
}

// statusOf returns how a hub answers, in words.
func statusOf(ctx context.Context, o agent.Options) (string, error) {
	c, err := agent.Dial(ctx, o, func(hub.Event) {})
	if err != nil {
		return "not connected", loginHint(o.Key.ID(), err)
	}
	defer c.Close()
	line := "connected from " + proto.EscapeText(c.Welcome.Observed)
	if c.Welcome.Name != "" {
		line += ", name " + proto.EscapeText(c.Welcome.Name)
	}
	return line, nil
}
