package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
	"mesh/tools/paste"
)

func whoCommand() *cli.Command {
	return &cli.Command{
		Name: "who", Usage: "print who is online, who is in a room, or where a peer is", ArgsUsage: "[ROOM|PEER]",
		Description: "Each line has name, node id, what the node takes, and since when. A word that\nis a room and a name too stands for the room. Without a word, it is everybody\nwho is online at the hubs of this node.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object, as the hub's REST API does", DisableDefaultText: true},
			cmdline.Hub(),
		},
		Action: cmdline.HomeAction(readWho, who),
	}
}

// whoOptions are what mesh-hub who was given.
type whoOptions struct {
	what string // "" for everybody
	json bool
	hub  string // the value of --hub
}

func readWho(c *cli.Context) (whoOptions, error) {
	o := whoOptions{json: c.Bool("json"), hub: c.String("hub")}
	args, err := cmdline.Args(c, 0, 1)
	if err == nil && len(args) > 0 {
		o.what = paste.Word(args[0])
	}
	return o, err
}

// who prints what the hubs say about a room or a peer, or who is online.
func who(ctx context.Context, home string, o whoOptions, s cmdline.Streams) error {
	if o.what == "" {
		return everybody(ctx, home, o, s)
	}
	n, err := nodeflags.Options{State: home, Hub: o.hub}.Open(s)
	if err != nil {
		return err
	}
	got, err := n.Who(ctx, o.what)
	if code := agent.CodeOf(err); code == hub.CodeNotFound || code == hub.CodeUnsupported {
		err = proto.Errorf(proto.CodeOf(err), "%s is no room and no peer that a hub knows", proto.QuoteText(o.what))
	}
	if err == nil {
		err = printWho(got, o.json, s)
	}
	return n.Close(err)
}

func printWho(got node.Presence, asJSON bool, s cmdline.Streams) error {
	if asJSON {
		text, err := json.Marshal(whoJSON(got))
		if err != nil {
			return err
		}
		return s.PrintLine(string(text))
	}
	if p := got.Peer; p != nil {
		return printAll(s, whoLine(p.Node, p.Name, p.Kinds, p.Online, p.SinceS))
	}
	var b strings.Builder
	sort.SliceStable(got.Room, func(i, j int) bool { return got.Room[i].Name < got.Room[j].Name })
	for _, p := range got.Room {
		b.WriteString(whoLine(p.Node, p.Name, p.Kinds, true, p.SinceS))
	}
	return printAll(s, b.String())
}

// whoJSON is the answer of the REST API: the list of a room, or a peer.
func whoJSON(got node.Presence) any {
	if got.Peer != nil {
		return got.Peer
	}
	return struct {
		Items []hub.RoomPeer `json:"items"`
	}{got.Room}
}

// whoLine returns the line of a node, whose name is the hub's word.
func whoLine(id identity.ID, name string, kinds []hub.Kind, online bool, sinceS uint32) string {
	takes := "offline"
	if online {
		var words []string
		for _, k := range kinds {
			words = append(words, string(k))
		}
		if takes = strings.Join(words, ","); takes == "" {
			takes = "-"
		}
	}
	if name == "" {
		name = "-"
	}
	since := time.Now().Add(-time.Duration(sinceS) * time.Second)
	return fmt.Sprintf("%s\t%s\t%s\t%s\n", proto.EscapeText(name), id, proto.EscapeText(takes), day(since))
}
