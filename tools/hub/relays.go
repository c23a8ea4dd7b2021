package hub

import (
	"context"
	"net"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/hub/serve"
	"mesh/proto/identity"
	"mesh/proto/relay"
	"mesh/tools/cmdline"
)

// noRelay is the value of --relay for a hub that names no relay.
const noRelay = "none"

// relayOptions are the flags of mesh-hub serve about relays.
type relayOptions struct {
	off         bool      // no relay at all
	others      []hub.URL // in place of the hub itself
	listen      string    // HOST:PORT of a port for the plain door alone; "" for none
	rate, bytes uint64    // of a session; 0 for no bound
	total       uint64    // bytes per second of all sessions
	sessions    int
}

func relayTotalFlag() cli.Flag {
	return &cli.GenericFlag{Name: "relay-total", Value: new(cmdline.Size), Usage: "relay at most `SIZE` a second in all", DefaultText: "no limit"}
}

func relaySessionsFlag() cli.Flag {
	return &cli.IntFlag{Name: "relay-sessions", Value: relay.DefaultSessions, Usage: "relay for at most `N` pairs of nodes"}
}

// own reports whether the hub itself is the relay.
func (o *relayOptions) own() bool { return !o.off && len(o.others) == 0 }

func (o *relayOptions) read(c *cli.Context) error {
	for _, text := range c.StringSlice("relay") {
		if text == noRelay {
			o.off = true
			continue
		}
		u, err := hub.ParseURL(text)
		if err != nil || !u.TLS {
			return proto.Errorf(proto.Usage, "flag --relay: want %s, or the URL that mesh-hub relay prints", noRelay)
		}
		o.others = append(o.others, u)
	}
	o.rate, o.bytes, o.total = sizeOf(c, "relay-rate"), sizeOf(c, "relay-bytes"), sizeOf(c, "relay-total")
	o.sessions, o.listen = c.Int("relay-sessions"), c.String("relay-listen")
	switch {
	case o.off && len(c.StringSlice("relay")) > 1:
		return proto.Errorf(proto.Usage, "--relay %s excludes other relays", noRelay)
	case len(o.others) > 0 && o.listen != "":
		return proto.Errorf(proto.Usage, "--relay-listen is for a hub that is the relay itself: without --relay")
	case o.sessions < 1:
		return proto.Errorf(proto.Usage, "--relay-sessions is at least 1")
	case o.listen != "" && !cmdline.IsHostPort(o.listen):
		return proto.Errorf(proto.Usage, "flag --relay-listen: want :PORT or HOST:PORT")
	}
	return nil
}

func sizeOf(c *cli.Context, name string) uint64 { return uint64(cmdline.SizeOf(c, name)) }

// openRelays makes what names relays, and the hub's own one. It returns the listener of
// the port for the plain door alone, nil without one.
func (h *server) openRelays(bound net.Addr) (plain net.Listener, err error) {
	o := h.o.relay
	if o.off {
		return nil, nil
	}
	all := serve.RelaysOptions{Key: h.key, URLs: o.others, Rate: o.rate, Bytes: o.bytes, Log: h.log}
	if o.own() {
		if o.listen != "" {
			if plain, err = net.Listen("tcp", o.listen); err != nil {
				return nil, cmdline.ListenError(err, "--relay-listen")
			}
		}
		all.Own = &serve.OwnRelay{Name: h.url(bound).Host, URLs: h.o.urls, Proxied: len(h.o.proxies) > 0}
		if plain != nil {
			all.Own.Plain = doorAt(o.listen, plain.Addr())
		}
		h.relay = relay.NewServer(relay.Options{
			Hub: h.key.ID(), OwnKey: h.key.Derive(relay.OwnKeyLabel), Name: all.Own.Name,
			Rate: o.rate, Total: o.total, Bytes: o.bytes, Sessions: o.sessions, Log: h.log,
		})
		all.Own.Spent = h.relay.Spent
	}
	if h.relays, err = serve.NewRelays(all); err != nil && plain != nil {
		_ = plain.Close()
	}
	return plain, err
}

// doorAt returns the host of a flag with the port of its listener, which may have been
// chosen by the system.
func doorAt(flag string, bound net.Addr) string {
	host, _, _ := net.SplitHostPort(flag)
	_, port, _ := net.SplitHostPort(bound.String())
	return net.JoinHostPort(host, port)
}

// relayOf is the broker's choice of a relay.
func (h *server) relayOf(session hub.ID, dialer, listener identity.ID) broker.Relay {
	if h.relays == nil {
		return nil
	}
	return h.relays.Of(session, dialer, listener)
}

// doors are the doors of all relays, for the broker.
func (h *server) doors(origin string) []hub.Relay {
	if h.relays == nil {
		return nil
	}
	return h.relays.Doors(origin)
}

// serveRelays serves the port of the plain door, and asks other relays, until ctx ends.
func (h *server) serveRelays(ctx context.Context, plain net.Listener) {
	if h.relays != nil {
		h.wg.Go(func() { h.relays.Watch(ctx) })
	}
	if plain != nil {
		h.log.Info("the relay's plain door", "at", plain.Addr())
		h.wg.Go(func() { h.hub.ServePlain(ctx, plain) })
	}
}

// drainRelay begins to end the hub's own relay, for which it has the time of the drain.
// The result waits for it.
func (h *server) drainRelay(ctx context.Context) (wait func()) {
	if h.relay == nil {
		return func() {}
	}
	ctx, cancel := context.WithTimeout(ctx, h.o.drain)
	done := make(chan struct{}) // closed when the relay has ended
	h.wg.Go(func() {
		defer close(done)
		h.relay.Drain(ctx)
	})
	return func() {
		<-done
		cancel()
	}
}
