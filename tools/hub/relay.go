package hub

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/serve"
	"mesh/proto/identity"
	"mesh/proto/relay"
	"mesh/tools/cmdline"
	"mesh/tools/service"
)

// relayKeyFile has the key of a relay, in the state folder.
const relayKeyFile = "relay.key"

func relayCommand() *cli.Command {
	drain := cmdline.Duration(defaultDrain)
	return &cli.Command{
		Name: "relay", Usage: "run a relay of its own for a hub",
		Description: "It prints what the hub is run with. Settings: [hub-server] of config.toml.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "hub", Usage: "relay for the hub at `URL`, which ends in the hub's key: wss://…#mk1…"},
			&cli.StringFlag{Name: "listen", Value: defaultListen, Usage: "wait for nodes at `ADDR`: HOST, :PORT or HOST:PORT"},
			&cli.StringSliceFlag{Name: "url", Usage: "nodes reach the relay at `URL`", DefaultText: "an address of this machine"},
			&cli.StringFlag{Name: "tls-cert", Usage: "present the certificate in `FILE`, not the relay's own"},
			tlsKeyFlag(),
			relayTotalFlag(),
			relaySessionsFlag(),
			&cli.GenericFlag{Name: "drain", Value: &drain, Usage: "when stopped, let the nodes go elsewhere within `DUR`"},
			cmdline.Metrics(),
			cmdline.Verbose(),
		},
		Action: func(c *cli.Context) error {
			o, err := readRelay(c)
			if err != nil {
				return err
			}
			s, err := cmdline.DaemonStreams(c)
			if err != nil {
				return err
			}
			return runRelay(c.Context, o, s)
		},
	}
}

// relayServeOptions are the flags of mesh-hub relay.
type relayServeOptions struct {
	home     string
	hub      identity.ID
	listen   string  // HOST:PORT
	url      hub.URL // zero for an address of this machine
	cert     string  // file; "" for the relay's own key, and key too
	key      string
	total    uint64
	sessions int
	drain    time.Duration
	metrics  string
	verbose  int
}

func readRelay(c *cli.Context) (o relayServeOptions, err error) {
	if _, err := cmdline.Args(c, 0, 0); err != nil {
		return o, err
	}
	hubs := c.StringSlice("hub")
	if len(hubs) != 1 {
		return o, proto.Hint(proto.Errorf(proto.Usage, "a relay needs one --hub URL"), "mesh-hub serve prints the URL of the hub with its key")
	}
	u, err := hub.ParseURL(hubs[0])
	if err != nil || u.Key == (identity.ID{}) {
		return o, proto.Errorf(proto.Usage, "flag --hub: want the URL that mesh-hub serve prints, with the hub's key: wss://…#mk1…")
	}
	o = relayServeOptions{
		hub: u.Key, listen: withPort(c.String("listen")), cert: c.String("tls-cert"), key: c.String("tls-key"), total: sizeOf(c, "relay-total"), sessions: c.Int("relay-sessions"),
		drain: c.Duration("drain"), verbose: c.Count("verbose"),
	}
	for _, text := range c.StringSlice("url") {
		if o.url.Host != "" {
			return o, proto.Errorf(proto.Usage, "a relay has one --url")
		}
		if o.url, err = hub.ParseURL(text); err != nil || !o.url.TLS || o.url.Path != "" {
			return o, proto.Errorf(proto.Usage, "flag --url: want wss://HOST[:PORT]")
		}
	}
	if err := o.check(); err != nil {
		return o, err
	}
	if o.metrics, err = cmdline.MetricsAddr(c); err != nil {
		return o, err
	}
	o.home, err = cmdline.Home()
	return o, err
}

func (o relayServeOptions) check() error {
	switch {
	case !cmdline.IsHostPort(o.listen):
		return proto.Errorf(proto.Usage, "flag --listen: want HOST, :PORT or HOST:PORT")
	case (o.cert == "") != (o.key == ""):
		return errHalfCertificate
	case o.sessions < 1:
		return proto.Errorf(proto.Usage, "--relay-sessions is at least 1")
	case o.drain < 0 || o.drain > maxDrain:
		return proto.Errorf(proto.Usage, "--drain is 0 to %v", maxDrain)
	}
	return nil
}

// runRelay runs a relay until ctx ends, and lets the nodes go elsewhere then.
func runRelay(ctx context.Context, o relayServeOptions, s cmdline.Streams) error {
	if err := s.RequireOut(); err != nil {
		return err
	}
	log := s.Logger(o.verbose)
	events := eventLog(s, log)
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return cmdline.ListenError(err, "--listen")
	}
	defer l.Close()
	u := o.url
	if u.Host == "" {
		u = hub.URL{TLS: true, Host: reachable(l.Addr())}
	}
	if err := relay.CheckName(u.Host); err != nil {
		return proto.Errorf(proto.Usage, "%w", err)
	}
	settings := serve.RelayOptions{Log: log, Relay: relay.NewServer(relay.Options{
		Hub: o.hub, Name: u.Host, Total: o.total, Sessions: o.sessions, Log: log,
	})}
	if err := o.identify(&settings, &u); err != nil {
		return err
	}
	at, err := serve.NewRelayServer(settings)
	if err != nil {
		return err
	}
	stop, err := openMetrics(o.metrics, at.MetricsHandler, log)
	if err != nil {
		return err
	}
	defer stop()
	if err := s.PrintLine("mesh-hub serve --relay " + u.String()); err != nil {
		return err
	}
	return errors.Join(serveRelay(ctx, at, l, o.drain, events), context.Cause(ctx))
}

// identify sets how nodes know the relay: by its own key, which becomes part of the URL, or
// by the certificate of --tls-cert, which must be one for the URL's host.
func (o relayServeOptions) identify(settings *serve.RelayOptions, u *hub.URL) (err error) {
	if o.cert == "" {
		if settings.Key, err = identity.LoadKeyFile(filepath.Join(o.home, relayKeyFile)); err == nil {
			u.Key = settings.Key.ID()
		}
		return err
	}
	cert, err := openCertificate(o.cert, o.key, settings.Log)
	if err != nil {
		return err
	}
	if err := cert.now.Leaf.VerifyHostname(u.Name()); err != nil {
		return proto.Hint(proto.Errorf(proto.Config, "--tls-cert: %w", err), "--url wss://HOST[:PORT] gives the relay the name in the certificate")
	}
	settings.Certificate = cert.get
	return nil
}

// serveRelay serves until ctx ends, and then for the time of the drain.
func serveRelay(ctx context.Context, at *serve.RelayServer, l net.Listener, drain time.Duration, events *slog.Logger) (err error) {
	manager := service.New()
	defer manager.Stop()
	alive, end := context.WithCancel(context.WithoutCancel(ctx)) // outlives ctx by the drain
	defer end()
	var wg sync.WaitGroup
	ended := make(chan error, 1) // sent by the goroutine that serves; never closed
	wg.Go(func() { ended <- at.Serve(alive, l) })
	manager.Ready()
	events.Info("relay serves", "at", l.Addr())
	for waiting := true; waiting; {
		select {
		case err = <-ended:
			waiting = false
		case <-ctx.Done():
			waiting = false
		case <-manager.Due:
			manager.Alive()
		}
	}
	manager.Stopping()
	events.Info("relay drains", "for", drain)
	draining, cancel := context.WithTimeout(alive, drain)
	defer cancel()
	at.Drain(draining)
	end()
	at.Close()
	wg.Wait()
	return err
}
