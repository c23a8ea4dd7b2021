package hub

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe/term"
	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
	"mesh/tools/cmdline"
)

func apiTokenCommand() *cli.Command {
	return &cli.Command{
		Name: "api-token", Usage: "print an API token for the REST API of a hub",
		Description: "It is valid for 10 minutes, and may do what this node may do. An admin's can\nlast longer.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "scope", Usage: "only for `WORD`: read, self, invite or admin; may be repeated", DefaultText: "all that this node may do"},
			&cli.GenericFlag{Name: "ttl", Value: new(cmdline.Duration), Usage: "it lasts for `DUR`, up to 365d: for admins", DefaultText: "10m"},
			hubFlag(),
		},
		Action: cmdline.HomeAction(readAPIToken, apiToken),
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "print id, node id, scopes, beginning and end of each lasting API token", Flags: []cli.Flag{hubFlag()}, Action: adminAction(readNothing, listTokens)},
			{Name: "remove", Usage: "end a lasting API token", ArgsUsage: "ID", Flags: []cli.Flag{hubFlag()}, Action: adminAction(readWord, remove("tokens/"))},
		},
	}
}

// apiTokenOptions are the flags of mesh-hub api-token.
type apiTokenOptions struct {
	hub string
	new hub.NewToken
}

func readAPIToken(c *cli.Context) (apiTokenOptions, error) {
	o := apiTokenOptions{hub: c.String("hub")}
	if _, err := cmdline.Args(c, 0, 0); err != nil {
		return o, err
	}
	for _, text := range c.StringSlice("scope") {
		for word := range strings.SplitSeq(text, ",") {
			o.new.Scopes = append(o.new.Scopes, hub.Scope(word))
		}
	}
	ttl := c.Duration("ttl")
	switch err := hub.CheckScopes(o.new.Scopes); {
	case err != nil:
		return o, proto.Errorf(proto.Usage, "flag --scope: %w", err)
	case c.IsSet("ttl") && (ttl < time.Second || ttl > hub.MaxAPITokenLife):
		return o, proto.Errorf(proto.Usage, "--ttl is 1s to %dd", hub.MaxAPITokenLife/(24*time.Hour))
	}
	o.new.TTLS = uint32(ttl / time.Second)
	return o, nil
}

// apiToken prints an API token, and on a terminal how to use it.
func apiToken(ctx context.Context, home string, o apiTokenOptions, s cmdline.Streams) error {
	if err := s.RequireOut(); err != nil {
		return err
	}
	u, found, err := chosenHub(home, o.hub)
	switch {
	case err != nil:
		return err
	case !found:
		return errNoHub()
	}
	made, c, err := getToken(ctx, home, u, o.new, s)
	if err != nil {
		return err
	}
	c.Close()
	if err := s.PrintLine(made.Token); err != nil {
		return err
	}
	if term.IsTerminal(s.Out) {
		fmt.Fprintf(s.Err, "for example: echo \"Authorization: Bearer $(mesh-hub api-token --hub %s)\" | curl %s-H @- %swhoami\n", u.Origin()+u.Path, pinned(c), c.APIURL())
	}
	return nil
}

// pinned returns the options with which curl takes a hub that presents a certificate of
// its own key: no authority vouches for that one.
func pinned(c *agent.Conn) string {
	if c.Certificate == nil {
		return ""
	}
	if id, err := identity.OfCertificates([]*x509.Certificate{c.Certificate}); err != nil || id != c.Hub {
		return ""
	}
	sum := sha256.Sum256(c.Certificate.RawSubjectPublicKeyInfo)
	return "-k --pinnedpubkey sha256//" + base64.StdEncoding.EncodeToString(sum[:]) + " "
}

func listTokens(ctx context.Context, a *admin, _ nothing, s cmdline.Streams) error {
	return list(ctx, a, "tokens", s, func(t broker.Token) []string {
		scopes := make([]string, len(t.Scopes))
		for i, scope := range t.Scopes {
			scopes[i] = string(scope)
		}
		return []string{t.ID, t.Node.String(), strings.Join(scopes, ","), day(t.Made), day(t.Expires)}
	})
}
