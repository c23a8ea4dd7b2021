package token

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/tools/cmdline"
	"mesh/tools/node"
)

func showCommand() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "print what a token says, but not its secret",
		ArgsUsage: "[@FILE]",
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print one JSON object", DisableDefaultText: true}},
		Action:    show,
	}
}

// shown is what is in a token, as --json prints it.
type shown struct {
	ID       string     `json:"id"`
	Kind     string     `json:"kind"` // session, capability
	Listener string     `json:"listener"`
	Allows   []string   `json:"allows"`
	Expires  *time.Time `json:"expires"` // null: never
	Expired  bool       `json:"expired"`
	Uses     uint16     `json:"uses"`   // 0: any number
	Holder   *string    `json:"holder"` // null: anybody
	Addrs    []string   `json:"addrs"`
}

func show(c *cli.Context) error {
	args, err := cmdline.Args(c, 0, 1)
	if err != nil {
		return err
	}
	var t token.Token
	switch {
	case len(args) == 0:
		t, err = node.ParseToken(c.App.Reader)
	case strings.HasPrefix(args[0], "@"):
		t, err = node.ReadToken(args[0][1:])
	default:
		err = proto.Hint(proto.Errorf(proto.Usage, "a token is not taken as an argument, where all users of this machine can read it"),
			"give @FILE, or the token on standard input")
	}
	if err != nil {
		return err
	}
	s := describe(t, time.Now())
	if c.Bool("json") {
		line, err := json.Marshal(s)
		if err != nil {
			return err
		}
		return printLine(c, string(line))
	}
	return printLine(c, strings.TrimSuffix(s.table(), "\n"))
}

func describe(t token.Token, now time.Time) shown {
	s := shown{
		ID: t.ID.String(), Kind: "session", Listener: t.Listener.String(), Allows: strings.Split(t.Caps.String(), ","),
		Expired: t.Expired(now), Uses: t.Uses, Addrs: append([]string{}, t.Addrs...),
	}
	if t.Signed {
		s.Kind = "capability"
	}
	if !t.Expires.IsZero() {
		expires := t.Expires.UTC()
		s.Expires = &expires
	}
	if t.Holder != (identity.ID{}) {
		holder := t.Holder.String()
		s.Holder = &holder
	}
	return s
}

// table is what a person reads.
func (s shown) table() string {
	expires, uses, holder := "never", "any number", "anybody"
	if s.Expires != nil {
		expires = s.Expires.Format(time.RFC3339)
	}
	if s.Expired {
		expires += " (it has)"
	}
	if s.Uses > 0 {
		uses = fmt.Sprint(s.Uses)
	}
	if s.Holder != nil {
		holder = *s.Holder
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"id", s.ID},
		{"kind", s.Kind},
		{"listener", s.Listener},
		{"allows", strings.Join(s.Allows, ",")},
		{"expires", expires},
		{"uses", uses},
		{"holder", holder},
		{"addresses", strings.Join(s.Addrs, " ")},
	} {
		fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
	}
	w.Flush()
	return b.String()
}
