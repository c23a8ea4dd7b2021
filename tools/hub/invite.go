package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe/term"
	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/broker"
	"mesh/proto/hub/serve"
	"mesh/proto/identity"
	"mesh/proto/statefile"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/paste"
)

// defaultInviteTTL is the default of mesh-hub invite --ttl.
const defaultInviteTTL = 24 * time.Hour

func inviteCommand() *cli.Command {
	ttl, membership := cmdline.Duration(defaultInviteTTL), cmdline.Duration(0)
	return &cli.Command{
		Name: "invite", Usage: "print an invite, which makes a node a member", ArgsUsage: "[NAME]",
		Description: "With NAME, the node that joins gets that name at the hub.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "uses", Value: 1, Usage: "it makes up to `N` members"},
			&cli.GenericFlag{Name: "ttl", Value: &ttl, Usage: "it can be used for `DUR`"},
			&cli.GenericFlag{Name: "for", Value: &membership, Usage: "the membership lasts for `DUR`", DefaultText: "no end"},
		},
		Action: adminAction(readInvite, invite),
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "print id, name, uses that are left, and end of each open invite", Action: adminAction(readNothing, listInvites)},
			{
				Name: "remove", Usage: "take an invite back: by its id, the name that it reserves, or itself", ArgsUsage: "ID|NAME|INVITE|@FILE",
				Action: adminAction(readInviteWord, removeInvite),
			},
		},
	}
}

// readInviteWord returns the id of an invite, which is what list prints and what is in the
// invite, or the name that it reserves.
func readInviteWord(c *cli.Context) (string, error) {
	word, err := readWord(c)
	if err != nil {
		return "", err
	}
	if word = paste.Word(word); strings.HasPrefix(word, "@") {
		if word, err = readInviteFile(word[1:]); err != nil {
			return "", err
		}
	}
	if !strings.HasPrefix(word, hub.InvitePrefix) {
		return word, nil
	}
	i, err := hub.ParseInvite(word)
	return i.Key().String(), err
}

func removeInvite(ctx context.Context, a *admin, word string, _ cmdline.Streams) error {
	var open []broker.Invite
	err := pages(ctx, a, "invites", "", func(part []broker.Invite) error {
		open = append(open, part...)
		return nil
	})
	if err != nil {
		return err
	}
	for _, i := range open {
		if i.Key.String() == word || i.Name != "" && i.Name == word {
			return a.do(ctx, http.MethodDelete, "invites/"+i.Key.String(), nil, nil)
		}
	}
	if _, err := identity.ParseID(word); err == nil { // used up, perhaps
		if err := a.do(ctx, http.MethodDelete, "invites/"+word, nil, nil); proto.CodeOf(err) != proto.Usage {
			return err
		}
	}
	return proto.Hint(proto.Errorf(proto.Usage, "no such invite is open"), "mesh-hub invite list prints the open ones")
}

// vouchInvite puts a voucher by this node's key into an invite, if this node is an issuer,
// and returns its text. It ends with the membership that the invite brings, at the latest.
func vouchInvite(home string, i *hub.Invite, o inviteOptions) (string, error) {
	is, err := isIssuer(home)
	if err != nil || !is {
		return "", err
	}
	key, err := node.LoadKey(home)
	if err != nil {
		return "", err
	}
	if err := i.Vouch(key, o.name, i.Expires.Add(cmp.Or(o.membership, defaultVouchFor))); err != nil {
		return "", proto.Errorf(proto.Usage, "%w", err)
	}
	return i.Voucher.Encode()
}

// isIssuer reports whether this node's key is an issuer: by hub_access on the hub's machine,
// or by trusted_issuers elsewhere.
func isIssuer(home string) (bool, error) {
	id, found, err := identity.KnownID(home)
	if err != nil || !found {
		return false, err
	}
	trusted, err := agent.Issuers{Dir: home}.List()
	if err != nil || slices.Contains(trusted, agent.Issuer{ID: id, Kind: hub.VoucherAdmit}) {
		return err == nil, err
	}
	text, err := statefile.Read(filepath.Join(home, accessFile), broker.MaxAccessBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	access, err := broker.ParseAccess(string(text))
	return err == nil && access.IsIssuer(id), nil // the hub reports a mistake in the file
}

// inviteOptions are the flags of mesh-hub invite.
type inviteOptions struct {
	name       string
	uses       int
	ttl        time.Duration
	membership time.Duration // 0: no end
}

func readInvite(c *cli.Context) (inviteOptions, error) {
	o := inviteOptions{uses: c.Int("uses"), ttl: c.Duration("ttl"), membership: c.Duration("for")}
	args, err := cmdline.Args(c, 0, 1)
	if err != nil {
		return o, err
	}
	switch {
	case o.uses < 1 || o.uses > broker.MaxInviteUses:
		return o, proto.Errorf(proto.Usage, "--uses is 1 to %d", broker.MaxInviteUses)
	case o.ttl <= 0 || o.ttl > broker.MaxInviteLife:
		return o, proto.Errorf(proto.Usage, "--ttl is up to %dd", broker.MaxInviteLife/(24*time.Hour))
	case o.membership < 0 || c.IsSet("for") && o.membership < time.Second:
		return o, proto.Errorf(proto.Usage, "--for is at least 1s")
	case len(args) == 0:
		return o, nil
	case o.uses > 1:
		return o, proto.Errorf(proto.Usage, "an invite with a name has one use")
	}
	o.name = args[0]
	if err := hub.CheckName(o.name); err != nil {
		return o, proto.Errorf(proto.Usage, "%w", err)
	}
	return o, nil
}

// invite makes an invite here, and tells the hub its public half.
func invite(ctx context.Context, a *admin, o inviteOptions, s cmdline.Streams) error {
	if err := s.RequireOut(); err != nil {
		return err
	}
	var status serve.Status
	if err := a.do(ctx, http.MethodGet, "status", nil, &status); err != nil {
		return err
	}
	u, err := hub.ParseURL(status.URL)
	if err != nil {
		return proto.Errorf(proto.Protocol, "the hub's answer: %w", err)
	}
	i := hub.NewInvite(u, time.Now().Add(o.ttl))
	request := serve.NewInvite{Key: i.Key(), Name: o.name, Expires: i.Expires, Uses: o.uses, ForS: int64(o.membership / time.Second)}
	if request.Voucher, err = vouchInvite(a.home, &i, o); err != nil {
		return err
	}
	text, err := i.Encode()
	if err != nil {
		return err
	}
	if err := a.do(ctx, http.MethodPost, "invites", request, nil); err != nil {
		return err
	}
	if err := s.PrintLine(text); err != nil {
		return err
	}
	how := text
	if o.uses > 1 {
		how = "@FILE, with the invite in FILE"
	}
	if !term.IsTerminal(s.Out) {
		how = "mi1…"
	}
	fmt.Fprintf(s.Err, "on the other machine, run: mesh-hub join %s\n", how)
	return nil
}
