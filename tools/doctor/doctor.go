// Package doctor finds out what this machine's network lets through: its interfaces and
// routes, and for each hub of the node all that lies between, from the name to the relay.
package doctor

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/proto/nat"
	"mesh/proto/relay"
)

const (
	// runTime bounds all checks together, stepTime each step on the way to a hub.
	runTime  = 5 * time.Second
	stepTime = 2 * time.Second
)

// State says how a check has ended.
type State string

// The states. Warn is what a link may do without, or what makes links slower.
const (
	OK   State = "ok"
	Warn State = "warn"
	Fail State = "fail"
)

// Line is what one check has found.
type Line struct {
	State State `json:"state"`
	// Hub is the host of the hub that is checked; "" for this machine itself.
	Hub   string `json:"hub,omitempty"`
	Check string `json:"check"`
	Text  string `json:"text"`
	// Hint says what can be done about it; "" if there is nothing to do.
	Hint string `json:"hint,omitempty"`
}

// Report is what all checks have found.
type Report struct {
	// Out reports whether something leads out: a hub has answered, or without a hub there
	// is a route.
	Out bool `json:"out"`
	// NAT is what is between this machine and the first hub that tells.
	NAT   nat.Kind `json:"nat"`
	Lines []Line   `json:"lines"`

	names []name // what [Report.Redact] takes out beside addresses and node ids
}

// name is the name of a host or of an issuer, and what kind of name it is.
type name struct{ kind, text string }

// Options say what is checked, and as which node.
type Options struct {
	Hubs []hub.URL
	// Key is the node's. It may be nil if there are no hubs.
	Key *identity.Key
	// Agent is the program's name and version. Vouchers may be nil: see package agent.
	Agent    string
	Vouchers func(hub identity.ID) []string
	// Proxy returns the proxy for a request, as [http.Transport] has it; nil stands for
	// [http.ProxyFromEnvironment].
	Proxy func(*http.Request) (*url.URL, error)
	// STUN are servers to ask beside those of the hubs, each HOST:PORT.
	STUN []string
	// NoPortMap keeps the router from being asked for ports.
	NoPortMap bool
	Log       *slog.Logger
}

// Run makes all checks. It takes 5 seconds at most.
func Run(ctx context.Context, o Options) Report {
	if o.Proxy == nil {
		o.Proxy = http.ProxyFromEnvironment
	}
	ctx, cancel := context.WithTimeoutCause(ctx, runTime, proto.Errorf(proto.Timeout, "no answer in %s", runTime))
	defer cancel()
	here := &section{}
	checks := make([]*hubCheck, len(o.Hubs))
	var wg sync.WaitGroup
	wg.Go(func() { here.machine(ctx, o) })
	own := &section{}
	wg.Go(func() { own.ownSTUN(ctx, o.STUN) })
	for i, u := range o.Hubs {
		checks[i] = newHubCheck(o, u)
		wg.Go(func() { checks[i].run(ctx) })
	}
	wg.Wait()
	seen := own.seen
	for _, c := range checks {
		seen = append(seen, c.seen...)
	}
	if len(seen) > 0 && !o.NoPortMap {
		slices.SortFunc(seen, netip.Addr.Compare)
		own.mapping(ctx, slices.Compact(seen))
	}
	r := Report{NAT: cmp.Or(own.kind, nat.Unknown), Out: len(o.Hubs) == 0 && here.out || own.out, Lines: append(here.lines, own.lines...), names: append(here.names, own.names...)}
	for _, c := range checks {
		r.Out = r.Out || c.out
		if r.NAT == nat.Unknown && c.kind != "" {
			r.NAT = c.kind
		}
		r.Lines = append(r.Lines, c.lines...)
		r.names = append(r.names, c.names...)
	}
	return r
}

// section collects the lines about this machine, or about one hub.
type section struct {
	hub   string
	lines []Line
	names []name
	out   bool     // something leads out
	kind  nat.Kind // "" if it was not tested
	// seen are the IPv4 addresses at which STUN servers see this machine, if a router has
	// translated them.
	seen []netip.Addr
}

// add adds a line. The text may have parts that others have sent: it is made safe to print
// here, and nowhere else.
func (s *section) add(state State, check, text, hint string) {
	s.lines = append(s.lines, Line{state, s.hub, check, proto.EscapeText(text), proto.EscapeText(hint)})
}

// fail adds a line with an error and its hint, or if that has none, another hint.
func (s *section) fail(check string, err error, hint string) {
	if hints := proto.Hints(err); len(hints) > 0 {
		hint = hints[0]
	}
	s.add(Fail, check, err.Error(), hint)
}

func (s *section) name(kind, text string) {
	if text != "" {
		s.names = append(s.names, name{kind, proto.EscapeText(text)})
	}
}

// newHubCheck returns the check of one hub.
func newHubCheck(o Options, u hub.URL) *hubCheck {
	c := &hubCheck{section: section{hub: u.Name()}, o: o, url: u, relay: relay.Client{Key: o.Key, Proxy: o.Proxy, Log: o.Log}}
	c.section.name("hub", u.Name())
	return c
}
