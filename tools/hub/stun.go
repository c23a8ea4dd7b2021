package hub

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/nat"
	"mesh/tools/cmdline"
)

const (
	// noSTUN is the value of --stun for a hub that is no STUN server.
	noSTUN = "none"
	// stunPort is the one of RFC 8489, section 18.6.
	stunPort = "3478"
)

// stunServer is the STUN server of a hub, at two ports over UDP where it can, and over TCP
// at the hub's own port. Two ports show a node whether its router gives it another mapping
// for each destination.
type stunServer struct {
	*nat.Server
	conns []net.PacketConn
	told  []stunAddr
}

// stunAddr is a port for UDP: bind is where it is opened; host and port are what a node is
// told. An empty host is that of the hub as the node reaches it; an empty port is the one at
// which the node reaches the hub. The port 0 stands for the one that the system chooses.
type stunAddr struct{ bind, host, port string }

// checkSTUN checks the value of --stun; "" stands for none given.
func checkSTUN(text string) error {
	if text != "" && text != noSTUN && !cmdline.IsHostPort(text) {
		return proto.Errorf(proto.Usage, "flag --stun: want %s, :PORT or HOST:PORT", noSTUN)
	}
	return nil
}

// openSTUN opens the sockets of the STUN server. Only an address that --stun names must be
// had; without another the hub goes on, and warns.
func (h *server) openSTUN(bound net.Addr) error {
	if h.o.stun == noSTUN {
		return nil
	}
	at, err := netip.ParseAddrPort(bound.String())
	if err != nil {
		return err
	}
	s := &stunServer{Server: nat.NewServer(h.broker.Blocked)}
	var missing error
	for _, a := range h.stunAddrs(at) {
		err := s.open(a)
		if err != nil && a.bind == h.o.stun {
			s.close()
			return cmdline.ListenError(err, "--stun")
		}
		missing = errors.Join(missing, err)
	}
	if missing != nil {
		h.streams.Warn(fmt.Errorf("fewer nodes can reach each other without a relay, for want of STUN: %w", missing))
	}
	h.stun = s
	return nil
}

// stunAddrs returns the ports for UDP of a hub that listens at the address. Behind a proxy
// on the same machine nobody else reaches that address.
func (h *server) stunAddrs(at netip.AddrPort) (all []stunAddr) {
	proxied := len(h.o.proxies) > 0
	reached := !proxied || !at.Addr().IsLoopback()
	if reached {
		own := stunAddr{bind: at.String()}
		if proxied { // members reach the proxy's port
			own.port = fmt.Sprint(at.Port())
		}
		all = append(all, own)
	}
	second := stunAddr{bind: h.o.stun}
	host, port, _ := net.SplitHostPort(h.o.stun)
	switch ip, err := netip.ParseAddr(host); {
	case h.o.stun != "" && (err != nil || !ip.IsUnspecified()):
		second.host, second.port = host, port
	case h.o.stun != "":
		second.port = port
	case !reached:
		return nil
	default:
		host, port, _ := net.SplitHostPort(h.o.listen)
		if port != "0" { // else a free one, as the hub's own is
			port = stunPort
		}
		second.bind, second.port = net.JoinHostPort(host, port), port
	}
	if second.port == fmt.Sprint(at.Port()) && reached {
		return all
	}
	return append(all, second)
}

func (s *stunServer) open(a stunAddr) error {
	c, err := net.ListenPacket("udp", a.bind)
	if err != nil {
		return err
	}
	if a.port == "0" {
		_, a.port, _ = net.SplitHostPort(c.LocalAddr().String())
	}
	s.conns, s.told = append(s.conns, c), append(s.told, a)
	return nil
}

func (s *stunServer) close() {
	for _, c := range s.conns {
		_ = c.Close()
	}
}

// stunServers returns the ports of the STUN server for a node that has logged in at the
// origin: HOST:PORT each. It is for the broker.
func (h *server) stunServers(origin string) (all []string) {
	u, err := url.Parse(origin)
	if err != nil || h.stun == nil {
		return nil
	}
	for _, a := range h.stun.told {
		if a.host == "" {
			a.host = u.Hostname()
		}
		if a.port == "" {
			a.port = u.Port()
		}
		all = append(all, net.JoinHostPort(a.host, a.port))
	}
	return all[:min(len(all), hub.MaxRelays)]
}

// serveSTUN answers until ctx ends.
func (h *server) serveSTUN(ctx context.Context) {
	if h.stun == nil || len(h.stun.conns) == 0 {
		return
	}
	for _, c := range h.stun.conns {
		h.log.Info("STUN server", "at", c.LocalAddr())
	}
	h.wg.Go(func() { h.stun.ServeUDP(ctx, h.stun.conns...) })
}
