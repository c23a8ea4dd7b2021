package token

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/paste"
)

func showCommand() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "print what is in a token, an invite or a voucher, but no secret",
		ArgsUsage: "[@FILE|VOUCHER]",
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print one JSON object", DisableDefaultText: true}},
		Action: func(c *cli.Context) error {
			o, err := readShow(c)
			if err != nil {
				return err
			}
			return show(o, cmdline.StreamsOf(c), time.Now())
		},
	}
}

// description is what is in a token, as --json prints it.
type description struct {
	ID       string     `json:"id"`
	Kind     string     `json:"kind"` // session or capability
	Listener string     `json:"listener"`
	Allows   []string   `json:"allows"`
	Expires  *time.Time `json:"expires"` // null: never
	Expired  bool       `json:"expired"`
	Uses     uint16     `json:"uses"`   // 0: any number
	Holder   *string    `json:"holder"` // null: anybody
	Addrs    []string   `json:"addrs"`
}

// showOptions say where the token is, and how to print it.
type showOptions struct {
	stdin bool   // the token is on standard input
	file  string // else in this file
	hub   string // or it is this invite or voucher
	json  bool
}

func readShow(c *cli.Context) (o showOptions, err error) {
	args, err := cmdline.Args(c, 0, -1)
	if err != nil {
		return o, err
	}
	if len(args) == 1 {
		if o.hub = hubArgument(args[0]); o.hub != "" {
			o.json = c.Bool("json")
			return o, checkSecret(args[0], o.hub)
		}
	}
	if len(args) > 1 && !paste.HasToken(args[0]) {
		return o, cmdline.TooMany(c, len(args), 1)
	}
	o.json = c.Bool("json")
	if len(args) == 0 {
		o.stdin = true
		return o, nil
	}
	file, ok := strings.CutPrefix(args[0], "@")
	if !ok && paste.FileHasToken(args[0]) {
		err := proto.Errorf(proto.Usage, "%s is a file that holds a token", proto.EscapeText(args[0]))
		return o, proto.Hint(err, "mesh-token show @"+proto.EscapeText(args[0]))
	}
	if !ok {
		err := proto.Errorf(proto.Usage, "a token as an argument can be read by all users of this machine")
		return o, proto.Hint(err, "give @FILE, or the token on standard input")
	}
	o.file = file
	return o, nil
}

// show prints a token. It needs neither node key nor address book.
func show(o showOptions, s cmdline.Streams, now time.Time) error {
	if o.hub != "" {
		return showHub(o.hub, o.json, s, now)
	}
	var t token.Token
	var err error
	if o.stdin {
		text, failed := io.ReadAll(io.LimitReader(s.In, paste.MaxFileBytes))
		if failed != nil {
			return proto.IOError(failed)
		}
		if word := hubText(string(text)); word != "" {
			return showHub(word, o.json, s, now)
		}
		t, err = paste.Token(string(text))
	} else {
		t, err = node.ReadToken(o.file)
	}
	if err != nil {
		return err
	}
	d := describe(t, now)
	if !o.json {
		return s.PrintLine(d.table())
	}
	line, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return s.PrintLine(string(line))
}

func describe(t token.Token, now time.Time) description {
	d := description{
		ID: t.ID.String(), Kind: "session", Listener: t.Listener.String(), Allows: strings.Split(t.Caps.String(), ","),
		Expired: t.Expired(now), Uses: t.Uses, Addrs: append([]string{}, t.Addrs...),
	}
	if t.Signed {
		d.Kind = "capability"
	}
	if !t.Expires.IsZero() {
		expires := t.Expires.UTC()
		d.Expires = &expires
	}
	if t.Holder != (identity.ID{}) {
		holder := t.Holder.String()
		d.Holder = &holder
	}
	return d
}

// table returns the lines that a person reads.
func (d description) table() string {
	expires, uses, holder := "never", "any number", "anybody"
	if d.Expires != nil {
		expires = date(*d.Expires, d.Expired)
	}
	if d.Uses > 0 {
		uses = fmt.Sprint(d.Uses)
	}
	if d.Holder != nil {
		holder = *d.Holder
	}
	return table([][2]string{
		{"id", d.ID},
		{"kind", d.Kind},
		{"listener", d.Listener},
		{"allows", strings.Join(d.Allows, ",")},
		{"expires", expires},
		{"uses", uses},
		{"holder", holder},
		{"addresses", strings.Join(d.Addrs, " ")},
	})
}
