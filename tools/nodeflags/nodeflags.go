// Package nodeflags has the flags of the tools that link, and makes the node that
// they describe.
package nodeflags

import (
	"cmp"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/pipe"
	"mesh/pipe/ratelimit"
	"mesh/pipe/term"
	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/proto/path"
	"mesh/tools/board"
	"mesh/tools/cmdline"
	"mesh/tools/node"
)

// Flags returns more and the flags of every tool that links.
func Flags(more ...cli.Flag) []cli.Flag {
	return append(more, cmdline.Hub(), cmdline.Via(), cmdline.ResumeFor(), cmdline.Window(), cmdline.Spool(), cmdline.Deadline(), cmdline.Events(), cmdline.Quiet(), cmdline.Verbose())
}

// ListenFlags are the flags of every tool that can wait for a peer.
func ListenFlags() []cli.Flag {
	return []cli.Flag{cmdline.As(), cmdline.Room(), cmdline.Listen(), cmdline.Addr(), cmdline.TokenFile(), cmdline.ShowToken(), cmdline.QR(), cmdline.Copy(), cmdline.TokenOnly(), cmdline.TTL(), cmdline.Wait()}
}

// Options are the values of [Flags], and where a tool waits.
type Options struct {
	State     string // the folder with the node's key; "" for that of the environment
	Listen    string // "" for a tool that only dials
	Via       path.Via
	Window    int64
	Spool     int64
	ResumeFor time.Duration
	Hub       string // the value of --hub
	Trust     string
	Flows     int    // 0 for auto
	Events    string // a descriptor or a file
	Quiet     bool
	Verbose   int    // how often -v is given
	Limit     string // the value of --limit-rate
	ANSI      bool   // the terminal knows escape sequences
	// Board records what the node does; nil for no record.
	Board *board.Board
	// Reloads says that [node.Node.SetLimit] may change the limit.
	Reloads bool
}

// Read reads the flags.
func Read(c *cli.Context) Options {
	kind := os.Getenv("TERM")
	return Options{
		Hub: c.String("hub"), Trust: c.String("trust"),
		Via: cmdline.ViaOf(c), Window: cmdline.SizeOf(c, cmdline.WindowName), Spool: cmdline.SizeOf(c, cmdline.SpoolName),
		ResumeFor: c.Duration("resume-for"), Flows: cmdline.FlowsOf(c),
		Limit: c.String("limit-rate"), Events: c.String("events"), Quiet: c.Bool("quiet"), Verbose: c.Count("verbose"),
		ANSI: kind != "" && kind != "dumb",
	}
}

// ForTerminal returns o for the links of a shared terminal: see
// [proto.TermWindowBytes].
func (o Options) ForTerminal() Options {
	o.Window, o.Flows = proto.TermWindowBytes, 1
	return o
}

// Open opens the node: it makes the key if it is missing, and opens the events. Call
// [node.Node.Close] in the end.
func (o Options) Open(s cmdline.Streams) (*node.Node, error) {
	if o.State == "" {
		var err error
		if o.State, err = cmdline.Home(); err != nil {
			return nil, err
		}
	}
	key, err := node.LoadKey(o.State)
	if err != nil {
		return nil, err
	}
	hubs, err := o.Hubs()
	if err != nil {
		return nil, err
	}
	reach, err := cmdline.ReadReach()
	if err != nil {
		return nil, err
	}
	limit, err := cmdline.ParseLimit(o.Limit)
	if err != nil {
		return nil, err
	}
	limiter := ratelimit.New
	if o.Reloads {
		limiter = ratelimit.NewVariable
	}
	events, err := cmdline.OpenEvents(o.Events)
	if err != nil {
		return nil, err
	}
	n := node.Options{
		Key: key, State: o.State, Listen: o.Listen, Via: o.Via, Window: windowFor(o.Window, limit),
		Transfers: pipe.Options{
			ResumeFor: o.ResumeFor, Flows: o.Flows, Spool: o.Spool,
			SendLimit: limiter(limit), ReceiveLimit: limiter(limit),
		},
		Log: s.Logger(o.Verbose), EventLog: s.Events(), Records: s.Records(),
		Hubs: hubs, Trust: o.Trust, Reach: reachOf(reach), Rooms: new(roomRules).now,
		Board: o.Board,
		Name:  s.Name, Stderr: s.Err, ANSI: o.ANSI,
		Progress: o.progress(s), Receipts: o.Receipts(s),
	}
	if s.CanAsk() {
		n.Ask = s.Ask
	}
	if events != nil {
		n.Events = events
	}
	return node.New(n), nil
}

// progress reports whether a progress line is drawn.
func (o Options) progress(s cmdline.Streams) bool { return term.IsTerminal(s.Err) && !o.Quiet }

// Receipts reports whether receipts and sums are printed.
func (o Options) Receipts(s cmdline.Streams) bool {
	return o.progress(s) || o.Verbose > 0 && !o.Quiet && s.Events() == nil
}

// windowFor returns the window of a transfer: with a limit at all times what a second
// takes, so that the peer sends little more than that before it meets the limit.
func windowFor(window int64, limit ratelimit.Schedule) int64 {
	most := limit.Most()
	if most == 0 {
		return window
	}
	return min(cmp.Or(window, proto.WindowBytes), max(most, cmdline.MinPipeWindow))
}

func reachOf(r cmdline.Reach) node.Reach {
	return node.Reach{NoRelay: !r.Relay, NoPortMap: !r.PortMap, NoLAN: !r.LAN, Hide: r.Hide, STUN: r.STUN, Proxy: r.Proxy}
}

// Hubs returns the hubs of the node: those of --hub, each with the key that is known of
// it, else those of known_hubs.
func (o Options) Hubs() ([]hub.URL, error) {
	known := agent.Known{Dir: o.State}
	hubs, given, err := cmdline.ParseHubs(o.Hub)
	if err != nil {
		return nil, err
	}
	if !given {
		return known.List()
	}
	for i, u := range hubs {
		if u.Key == (identity.ID{}) {
			old, found, err := known.Find(u)
			if err != nil {
				return nil, err
			}
			if found {
				hubs[i] = old
			}
		}
	}
	return hubs, nil
}

// AtHubs returns at which hubs a listener is to be, and as what.
func AtHubs(c *cli.Context) (at node.AtHubs, err error) {
	o := Read(c)
	if o.State, err = cmdline.Home(); err == nil {
		at.Hubs, err = o.Hubs()
	}
	at.As, at.Rooms = c.String("as"), c.StringSlice("room")
	return at, err
}

// Addrs returns the values of --addr, each with a port.
func Addrs(c *cli.Context) (addrs []string) {
	for _, addr := range c.StringSlice("addr") {
		addrs = append(addrs, node.WithPort(addr))
	}
	return addrs
}

// Offer returns what the flags of [ListenFlags] say of an offer.
func Offer(c *cli.Context) node.Offer {
	return node.Offer{
		Addrs: Addrs(c), TTL: c.Duration("ttl"), Wait: c.Duration("wait"),
		TokenFile: c.String("token-file"), ShowToken: c.Bool("show-token"), QR: c.Bool("qr"), Copy: c.Bool("copy"), TokenOnly: c.Bool("token-only"), As: c.String("as"), Rooms: c.StringSlice("room"),
	}
}
