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
	"mesh/proto/path"
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
	if len(got.Ways)+len(got.Tried) == 0 {
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

// table returns what a person reads: the paths that work, the best first, then the NATs, the
// paths that do not, and a hint.
func table(g node.Pinged) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	name := g.Label()
	row := func(cells ...string) {
		fmt.Fprintln(w, strings.Join(append([]string{name}, cells...), "\t"))
		name = ""
	}
	for i, way := range g.Ways {
		cells := []string{"direct", way.Text(), "rtt " + ms(way.Mean())}
		if way.Path.Kind == path.Relay {
			cells[0], cells[1] = "relay", strings.TrimPrefix(way.Text(), "relay ")+node.AtMost(way.Path.MaxBPS)
		}
		if i == g.Counted() {
			cells = append(cells, fmt.Sprintf("loss %d/%d", way.Lost, way.Lost+len(way.RTTs)))
		}
		if i == 0 {
			cells = append(cells, "key ok", g.Answer())
		}
		row(cells...)
	}
	if g.Here != "" && g.There != "" {
		row("nat", "here "+g.Here+", there "+g.There)
	}
	label := "tried"
	for _, way := range g.Tried {
		row(label, way.Text(), proto.EscapeText(way.Err.Error()))
		label = ""
	}
	if g.Hint() != "" {
		row("hint", g.Hint())
	}
	_ = w.Flush()
	return b.String()
}

// ms returns a time in milliseconds, with three digits that count.
func ms(d time.Duration) string {
	return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
}

// result is the object of --json. Times are in milliseconds. Path, Addr, Type, RTT, Mean, Sent
// and Lost are those of the best path; Path is "" if none works.
type result struct {
	Peer string      `json:"peer"` // its name, or ""
	ID   identity.ID `json:"id"`
	way
	Answer string `json:"answer"`
	Others []way  `json:"others"` // that work too
	NAT    *ends  `json:"nat,omitempty"`
	Tried  []way  `json:"tried"`
	Hint   string `json:"hint,omitempty"`
}

type ends struct {
	Here  string `json:"here"`
	There string `json:"there"`
}

type way struct {
	Path  string    `json:"path"`
	Addr  string    `json:"addr"` // "" through a relay
	Type  string    `json:"type,omitempty"`
	RTT   []float64 `json:"rtt_ms,omitempty"`
	Mean  float64   `json:"mean_ms,omitempty"`
	Sent  int       `json:"sent,omitempty"`
	Lost  *int      `json:"lost,omitempty"` // not where it is not known
	Most  uint64    `json:"max_bps,omitempty"`
	Error string    `json:"error,omitempty"`
}

func wayOf(w node.Way) way {
	one := way{Addr: w.Addr, Type: string(w.Type), Mean: inMS(w.Mean()), Sent: w.Lost + len(w.RTTs), Most: w.Path.MaxBPS}
	if w.Path != (path.Path{}) {
		one.Path = w.Path.String()
	}
	if !w.Once && w.Err == nil {
		one.Lost = &w.Lost
	}
	for _, rtt := range w.RTTs {
		one.RTT = append(one.RTT, inMS(rtt))
	}
	if w.Err != nil {
		one.Error = w.Err.Error()
	}
	return one
}

// object returns the line of --json.
func object(g node.Pinged) string {
	r := result{Peer: g.Peer.Name, ID: g.Peer.ID, Answer: g.Answer(), Hint: g.Hint(), Others: []way{}, Tried: []way{}}
	for i, w := range g.Ways {
		if i == 0 {
			r.way = wayOf(w)
			continue
		}
		r.Others = append(r.Others, wayOf(w))
	}
	if g.Here != "" && g.There != "" {
		r.NAT = &ends{g.Here, g.There}
	}
	for _, w := range g.Tried {
		r.Tried = append(r.Tried, wayOf(w))
	}
	text, _ := json.Marshal(r) // it has only texts and numbers
	return string(text)
}

func inMS(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
