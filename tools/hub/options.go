package hub

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/serve"
	"mesh/tools/cmdline"
)

const (
	defaultListen = ":443"
	defaultPort   = "443"
	defaultDrain  = 30 * time.Second
	visibleAll    = "all"
	visibleRooms  = "rooms"
	// maxDrain is what clients wait at most.
	maxDrain = hub.MaxGoAwaySpread
)

func serveCommand() *cli.Command {
	drain := cmdline.Duration(defaultDrain)
	return &cli.Command{
		Name: "serve", Usage: "run the hub",
		UsageText:   "mesh-hub serve                 # prints what others run to join\nmesh-hub serve --listen :8443 --url wss://hub.example:8443\nmesh-hub serve --relay none    # it relays for nobody\n",
		Description: "It prints what others run to join. Settings: [hub-server] of config.toml.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Value: defaultListen, Usage: "wait for nodes at `ADDR`: HOST, :PORT or HOST:PORT"},
			&cli.StringSliceFlag{Name: "url", Usage: "members use `URL`, for example wss://hub.example; may be repeated"},
			&cli.StringFlag{Name: "tls-cert", Usage: "present the certificate in `FILE`, not the hub's own"},
			tlsKeyFlag(),
			&cli.StringSliceFlag{Name: "behind-proxy", Usage: "a proxy with an address in `CIDR` ends TLS; needs --url"},
			&cli.StringFlag{Name: "visible", Value: visibleAll, Usage: "members find `all|rooms`: each other, or only who is in a room with them"},
			&cli.BoolFlag{Name: "guests", Usage: "let nodes that are no members claim codes"},
			&cli.IntFlag{Name: "max", Value: serve.DefaultMax, Usage: "keep at most `N` connections"},
			&cli.GenericFlag{Name: "drain", Value: &drain, Usage: "when stopped, send nodes away within `DUR`"},
			cmdline.Metrics(),
			&cli.StringSliceFlag{Name: "relay", Usage: "nodes meet at the relay at `URL|none`, not at the hub; may be repeated"},
			&cli.StringFlag{Name: "relay-listen", Usage: "the relay's plain door is at `ADDR`: :PORT or HOST:PORT", DefaultText: "that of --listen"},
			&cli.GenericFlag{Name: "relay-rate", Value: new(cmdline.Size), Usage: "relay at most `SIZE` a second for two nodes", DefaultText: "no limit"},
			relayTotalFlag(),
			&cli.GenericFlag{Name: "relay-bytes", Value: new(cmdline.Size), Usage: "relay at most `SIZE` for two nodes", DefaultText: "no limit"},
			relaySessionsFlag(),
			&cli.StringFlag{Name: "stun", Usage: "a second port for STUN is at `ADDR|none`", DefaultText: "port 3478"},
			cmdline.Verbose(),
		},
		Action: func(c *cli.Context) error {
			o, err := readServe(c)
			if err != nil {
				return err
			}
			s, err := cmdline.DaemonStreams(c)
			if err != nil {
				return err
			}
			return runServe(c.Context, o, s)
		},
	}
}

func tlsKeyFlag() cli.Flag {
	return &cli.StringFlag{Name: "tls-key", Usage: "the key of --tls-cert is in `FILE`"}
}

var errHalfCertificate = proto.Errorf(proto.Usage, "--tls-cert and --tls-key go together")

// serveOptions are the flags of mesh-hub serve.
type serveOptions struct {
	home        string
	listen      string // HOST:PORT
	urls        []hub.URL
	cert, key   string // files; "" for the hub's own key
	metrics     string // HOST:PORT; "" for none
	proxies     []netip.Prefix
	relay       relayOptions
	stun        string // HOST:PORT, none, or "" for the default
	visible     string // all or rooms
	guests      bool
	max         int
	drain       time.Duration
	verbose     int
	takeHangups func() (<-chan os.Signal, func())
}

func readServe(c *cli.Context) (serveOptions, error) {
	o := serveOptions{
		listen: withPort(c.String("listen")), stun: c.String("stun"), cert: c.String("tls-cert"), key: c.String("tls-key"), visible: c.String("visible"), guests: c.Bool("guests"), max: c.Int("max"),
		drain: c.Duration("drain"), verbose: c.Count("verbose"), takeHangups: func() (<-chan os.Signal, func()) { return cmdline.Hangups(c) },
	}
	if _, err := cmdline.Args(c, 0, 0); err != nil {
		return o, err
	}
	for _, text := range c.StringSlice("url") {
		u, err := hub.ParseURL(text)
		if err != nil {
			return o, proto.Errorf(proto.Usage, "flag --url: %w", err)
		}
		o.urls = append(o.urls, u)
	}
	if err := errors.Join(o.relay.read(c), checkSTUN(o.stun)); err != nil {
		return o, err
	}
	for _, text := range c.StringSlice("behind-proxy") {
		for one := range strings.SplitSeq(text, ",") {
			p, err := parseNetwork(one)
			if err != nil {
				return o, err
			}
			o.proxies = append(o.proxies, p)
		}
	}
	if err := o.check(); err != nil {
		return o, err
	}
	var err error
	if o.metrics, err = cmdline.MetricsAddr(c); err != nil {
		return o, err
	}
	o.home, err = cmdline.Home()
	return o, err
}

func (o serveOptions) check() error {
	switch {
	case !cmdline.IsHostPort(o.listen):
		return proto.Errorf(proto.Usage, "flag --listen: want HOST, :PORT or HOST:PORT")
	case (o.cert == "") != (o.key == ""):
		return errHalfCertificate
	case len(o.proxies) > 0 && len(o.urls) == 0:
		return proto.Hint(proto.Errorf(proto.Usage, "--behind-proxy needs --url"),
			"the hub must know its own name: a proxy of another name could pass logins on")
	case o.visible != visibleAll && o.visible != visibleRooms:
		return proto.Errorf(proto.Usage, "--visible is %s or %s", visibleAll, visibleRooms)
	case o.max < 1:
		return proto.Errorf(proto.Usage, "--max is at least 1")
	case o.drain < 0 || o.drain > maxDrain:
		return proto.Errorf(proto.Usage, "--drain is 0 to %v", maxDrain)
	}
	for _, u := range o.urls {
		if !u.TLS && len(o.proxies) > 0 {
			return proto.Errorf(proto.Usage, "--behind-proxy needs a --url that begins with wss://")
		}
	}
	return nil
}

// parseNetwork reads an address or a network.
func parseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return a.Unmap().Prefix(a.Unmap().BitLen())
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p != p.Masked() {
		return p, proto.Errorf(proto.Usage, "flag --behind-proxy: %s is not a network such as 10.0.0.0/8", proto.QuoteText(text))
	}
	return p, nil
}

// withPort returns addr with the default port if it has none.
func withPort(addr string) string {
	host := strings.Trim(addr, "[]")
	if a, err := netip.ParseAddr(host); err == nil {
		return net.JoinHostPort(a.String(), defaultPort)
	}
	if host != "" && !strings.Contains(host, ":") {
		return net.JoinHostPort(host, defaultPort)
	}
	return addr
}
