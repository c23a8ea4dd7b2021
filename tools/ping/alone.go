package ping

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/tools/cmdline"
	"mesh/tools/doctor"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
)

// peerFlags are the flags that say how to ping a peer.
var peerFlags = []string{"count", "via", "wait", "trust"}

// aloneOptions are the flags of mesh-ping without PEER.
type aloneOptions struct {
	node         nodeflags.Options
	json, redact bool
}

// readAlone reads the command line without PEER.
func readAlone(c *cli.Context) (aloneOptions, error) {
	o := aloneOptions{nodeflags.Read(c), c.Bool("json"), c.Bool("redact")}
	for _, name := range peerFlags {
		if cmdline.Given(c, name) {
			return o, proto.Hint(proto.Errorf(proto.Usage, "--%s is for a PEER, and there is none", name), "mesh-ping alone checks the network of this machine")
		}
	}
	return o, nil
}

// alone finds out what this machine's network lets through.
func alone(ctx context.Context, o aloneOptions, s cmdline.Streams) error {
	d, err := doctorOf(o.node, s)
	if err != nil {
		return err
	}
	r := doctor.Run(ctx, d)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if o.redact {
		r = r.Redact()
	}
	text := lines(r)
	if o.json {
		text = reportObject(r)
	}
	if err := s.PrintLine(strings.TrimSuffix(text, "\n")); err != nil {
		return err
	}
	if !r.Out {
		return proto.Errorf(proto.Unreachable, "nothing leads out of this machine")
	}
	return nil
}

// doctorOf returns the options of the checks. Without a hub no key is needed, and none is
// made.
func doctorOf(o nodeflags.Options, s cmdline.Streams) (d doctor.Options, err error) {
	if o.State, err = cmdline.Home(); err != nil {
		return d, err
	}
	reach, err := cmdline.ReadReach()
	if err != nil {
		return d, err
	}
	d = doctor.Options{Agent: s.Name, Proxy: reach.Proxy, STUN: reach.STUN, NoPortMap: !reach.PortMap, Log: s.Logger(o.Verbose)}
	if d.Hubs, err = o.Hubs(); err != nil || len(d.Hubs) == 0 {
		return d, err
	}
	if d.Key, err = node.LoadKey(o.State); err != nil {
		return d, err
	}
	d.Vouchers = func(at identity.ID) []string {
		texts, err := agent.Vouchers{Dir: o.State}.Shown(d.Key.ID(), at, time.Now())
		if err != nil {
			s.Warn(err)
		}
		return texts
	}
	return d, nil
}

// reportObject returns the line of --json. Placeholders have < and >, which need no escapes.
func reportObject(r doctor.Report) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(r) // it has only texts and true or false
	return b.String()
}

// lines returns what a person reads: a line for each check, and one for each hint.
func lines(r doctor.Report) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, l := range r.Lines {
		at := l.Hub
		if at == "" {
			at = "here"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", l.State, at, l.Check, l.Text)
		if l.Hint != "" {
			fmt.Fprintf(w, "hint\t%s\t%s\t%s\n", at, l.Check, l.Hint)
		}
	}
	_ = w.Flush()
	return b.String()
}
