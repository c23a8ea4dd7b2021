// Package ping is mesh-ping, which says which path leads to a peer, how fast that is, and
// whether the peer would admit this node; and without a peer, what this machine's network
// lets through.
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
	"mesh/proto/identity"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
)

// maxCount bounds -c.
const maxCount = 1000

// Command returns the tool.
func Command() *cli.Command {
	return &cli.Command{
		Name:      "ping",
		Usage:     "show the path to a peer, or check the network of this machine",
		ArgsUsage: "[PEER]",
		UsageText: "mesh-ping bob       # path, round trip, loss\nmesh-ping @token    # is the token good? It is not used up\nmesh-ping           # what does this network let through?\n",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "count", Aliases: []string{"c"}, Value: 10, Usage: "send `N` pings", Action: checkCount},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object", DisableDefaultText: true},
			&cli.BoolFlag{Name: "redact", Usage: "without PEER: print no addresses and names", DisableDefaultText: true},
			cmdline.Hub(), cmdline.Trust(), cmdline.Via(), cmdline.Wait(), cmdline.Deadline(), cmdline.Verbose(),
		},
		Action: func(c *cli.Context) error {
			args, err := cmdline.Args(c, 0, -1)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				o, err := readAlone(c)
				if err != nil {
					return err
				}
				return alone(c.Context, o, cmdline.StreamsOf(c))
			}
			if c.Bool("redact") {
				return proto.Errorf(proto.Usage, "--redact is for mesh-ping without a PEER")
			}
			o := options{node: nodeflags.Read(c), json: c.Bool("json"), request: node.PingRequest{Count: c.Int("count"), Wait: c.Duration("wait")}}
			var rest []string
			if o.peer, rest, err = node.PeerOf(args, ""); err != nil {
				return err
			}
			if len(rest) > 0 {
				return proto.Errorf(proto.Usage, "one PEER is pinged, and there are %d arguments", len(rest)+1)
			}
			return run(c.Context, o, cmdline.StreamsOf(c))
		},
	}
}

func checkCount(_ *cli.Context, n int) error {
	if n < 1 || n > maxCount {
		return proto.Errorf(proto.Usage, "flag --count: %d is not 1 to %d", n, maxCount)
	}
	return nil
}

// options are the flags and arguments of mesh-ping.
type options struct {
	node    nodeflags.Options
	peer    node.PeerText
	json    bool
	request node.PingRequest
}

// run does the work of the tool.
func run(ctx context.Context, o options, s cmdline.Streams) error {
	n, err := o.node.Open(s)
	if err != nil {
		return err
	}
	return n.Close(ping(ctx, n, o, s))
}

func ping(ctx context.Context, n *node.Node, o options, s cmdline.Streams) error {
	peer, err := n.Peer(ctx, o.peer)
	if err != nil {
		return err
	}
	got, err := n.Ping(ctx, peer, o.request)
	if len(got.RTTs) == 0 {
		return err
	}
	text := table(got)
	if o.json {
		text = object(got)
	}
	if perr := s.PrintLine(strings.TrimSuffix(text, "\n")); perr != nil {
		return perr
	}
	if err != nil {
		return err
	}
	return got.Err()
}

// table returns what a person reads: the path of the first answer, then the other ones that were tried.
func table(g node.Pinged) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	way := g.Ping.Path.String()
	if g.Ping.Addr.IsValid() {
		way += " " + g.Ping.Addr.String()
	}
	loss := ""
	if !g.Once() {
		loss = fmt.Sprintf("loss %d/%d\t", g.Lost, g.Lost+len(g.RTTs))
	}
	fmt.Fprintf(w, "%s\t%s\trtt %s\t%skey ok\t%s\n", g.Label(), way, ms(g.Mean()), loss, g.Answer())
	for _, t := range g.Tried {
		outcome := "rtt " + ms(t.RTT)
		if t.Err != nil {
			outcome = proto.EscapeText(t.Err.Error())
		}
		fmt.Fprintf(w, "\t%s %s\t%s\n", t.Path, t.Addr, outcome)
	}
	_ = w.Flush()
	return b.String()
}

// ms returns a time in milliseconds, with three digits that count.
func ms(d time.Duration) string {
	return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
}

// result is the object of --json. Times are in milliseconds.
type result struct {
	Peer   string      `json:"peer"` // its name, or ""
	ID     identity.ID `json:"id"`
	Path   string      `json:"path"`
	Addr   string      `json:"addr"` // "" through a relay
	RTT    []float64   `json:"rtt_ms"`
	Mean   float64     `json:"mean_ms"`
	Sent   int         `json:"sent"`
	Lost   int         `json:"lost"`
	Answer string      `json:"answer"`
	Tried  []tried     `json:"tried"`
}

type tried struct {
	Path  string  `json:"path"`
	Addr  string  `json:"addr"`
	RTT   float64 `json:"rtt_ms,omitempty"`
	Error string  `json:"error,omitempty"`
}

// object returns the line of --json.
func object(g node.Pinged) string {
	r := result{
		Peer: g.Peer.Name, ID: g.Peer.ID, Path: g.Ping.Path.String(), Mean: inMS(g.Mean()),
		Sent: g.Lost + len(g.RTTs), Lost: g.Lost, Answer: g.Answer(), Tried: []tried{},
	}
	if g.Ping.Addr.IsValid() {
		r.Addr = g.Ping.Addr.String()
	}
	for _, rtt := range g.RTTs {
		r.RTT = append(r.RTT, inMS(rtt))
	}
	for _, t := range g.Tried {
		one := tried{Path: t.Path.String(), Addr: t.Addr, RTT: inMS(t.RTT)}
		if t.Err != nil {
			one.Error = t.Err.Error()
		}
		r.Tried = append(r.Tried, one)
	}
	text, _ := json.Marshal(r) // it has only texts and numbers
	return string(text)
}

func inMS(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
