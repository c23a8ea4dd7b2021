package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/relay"
	"mesh/tools/node"
)

// maxPerFamily bounds the addresses of a hub that are tried, in IPv4 and in IPv6.
const maxPerFamily = 2

// hubCheck follows the way to one hub.
type hubCheck struct {
	section
	o     Options
	url   hub.URL
	proxy *url.URL       // nil without one
	way   relay.ProxyWay // to the hub
	relay relay.Client
}

// run makes the checks one after the other, until one has failed that the next one needs.
func (c *hubCheck) run(ctx context.Context) {
	var err error
	if c.proxy, err = proxyFor(c.o, c.url); err != nil {
		return // the line about the proxy says it
	}
	addrs := c.resolve(ctx)
	if len(addrs) == 0 || !c.connect(ctx, addrs) || !c.ask(ctx) {
		return
	}
	c.out = true
	conn := c.login(ctx)
	if conn == nil {
		return
	}
	udp := hubCheck{section: section{hub: c.hub}, url: c.url}
	var wg sync.WaitGroup
	wg.Go(func() { udp.stun(ctx, conn.Welcome.STUN) })
	c.doors(ctx, conn.Welcome.Relay)
	wg.Wait()
	c.lines, c.names, c.kind, c.seen = append(c.lines, udp.lines...), append(c.names, udp.names...), udp.kind, udp.seen
}

// first returns the host and port that is connected to: the proxy's, or the hub's own.
func (c *hubCheck) first() (host, port string) {
	if c.proxy != nil {
		return c.proxy.Hostname(), cmp.Or(c.proxy.Port(), map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[c.proxy.Scheme])
	}
	host, port, _ = net.SplitHostPort(c.url.Host)
	return host, port
}

// resolve returns the addresses of the hub, or of the proxy before it.
func (c *hubCheck) resolve(ctx context.Context) (some []netip.Addr) {
	host, _ := c.first()
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}
	}
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	began := time.Now()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		if timedOut(err) {
			err = proto.Errorf(proto.Timeout, "no name server answers in %s", stepTime)
		}
		c.fail("name", err, "is the name right, and does this network have a name server?")
		return nil
	}
	var texts []string
	of := map[bool]int{} // by whether it is IPv4
	for _, ip := range ips {
		ip = ip.Unmap()
		if of[ip.Is4()]++; of[ip.Is4()] <= maxPerFamily {
			some, texts = append(some, ip), append(texts, ip.String())
		}
	}
	c.add(OK, "name", fmt.Sprintf("%s%s in %s", c.whose(), strings.Join(texts, ", "), ms(time.Since(began))), "")
	return some
}

// whose says in front of an address that it is the proxy's.
func (c *hubCheck) whose() string {
	if c.proxy != nil {
		return "proxy "
	}
	return ""
}

// dialled is what came of dialling an address.
type dialled struct {
	addr netip.Addr
	took time.Duration
	err  error
}

// connect tries TCP to each address, and reports whether one has answered.
func (c *hubCheck) connect(ctx context.Context, addrs []netip.Addr) bool {
	all := c.dialEach(ctx, addrs)
	answers := false
	for _, d := range all {
		answers = answers || d.err == nil
	}
	_, port := c.first()
	for _, d := range all {
		at := c.whose() + net.JoinHostPort(d.addr.String(), port)
		switch {
		case d.err == nil:
			c.add(OK, "tcp", at+" in "+ms(d.took), "")
		case !answers:
			c.add(Fail, "tcp", at+": "+reason(d.err), c.tcpHint(d.err))
		default:
			c.add(Warn, "tcp", at+": "+reason(d.err), "")
		}
	}
	return answers
}

func (c *hubCheck) tcpHint(err error) string {
	if proto.CodeOf(err) == proto.Timeout {
		return "a firewall may block this port, or nothing is at this address; if this network has a proxy: HTTPS_PROXY=http://HOST:PORT"
	}
	if c.proxy != nil {
		return "is the proxy in HTTPS_PROXY right?"
	}
	return "mesh-hub serve must run there; if this network has a proxy: HTTPS_PROXY=http://HOST:PORT"
}

// dialEach dials all addresses at the same time. Addresses to which this machine has no
// route are left out, unless there are no others.
func (c *hubCheck) dialEach(ctx context.Context, addrs []netip.Addr) []dialled {
	if some := slices.DeleteFunc(slices.Clone(addrs), func(ip netip.Addr) bool { return !routed(ip) }); len(some) > 0 {
		addrs = some
	}
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	_, port := c.first()
	all := make([]dialled, len(addrs))
	var wg sync.WaitGroup
	for i, ip := range addrs {
		wg.Go(func() {
			began := time.Now()
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(ip.String(), port))
			switch {
			case err == nil:
				_ = conn.Close()
			case timedOut(err):
				err = proto.Errorf(proto.Timeout, "no answer in %s", stepTime)
			}
			all[i] = dialled{ip, time.Since(began), err}
		})
	}
	wg.Wait()
	return all
}

// routed reports whether this machine has a route to an address. Nothing is sent.
func routed(ip netip.Addr) bool {
	c, err := net.Dial("udp", net.JoinHostPort(ip.String(), "9"))
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// login logs in at the hub, and returns a connection that is closed already: its Welcome is
// read.
func (c *hubCheck) login(ctx context.Context) *agent.Conn {
	began := time.Now()
	o := agent.Options{URL: c.url, Key: c.o.Key, Instance: hub.NewID(), Agent: c.o.Agent, Vouchers: c.o.Vouchers, Proxy: c.o.Proxy, Log: c.o.Log}
	conn, err := agent.Dial(ctx, o, func(hub.Event) {})
	if err != nil {
		c.fail("login", unprefixed(err, "hub "+c.url.Name()+": "), c.loginHint(err))
		return nil
	}
	took := time.Since(began)
	conn.Close()
	text := "in " + ms(took)
	if conn.Welcome.Name != "" {
		text += ", name " + conn.Welcome.Name
		c.name("node", conn.Welcome.Name)
	}
	if conn.Welcome.Observed != "" {
		text += ", seen from " + conn.Welcome.Observed
	}
	c.add(OK, "login", text, "")
	return conn
}

// loginHint says what can be done about the error of a login.
func (c *hubCheck) loginHint(err error) string {
	switch proto.CodeOf(err) {
	case proto.Denied:
		return node.MemberHint(c.o.Key.ID())
	case proto.Identity:
		return "what answers there is not this hub: a proxy or firewall that opens TLS, or an impostor"
	}
	return "the hub answers HTTP, and no WebSocket: a proxy or firewall may not let it through"
}

// unprefixed is an error without the beginning of its text.
func unprefixed(err error, prefix string) error {
	if text, ok := strings.CutPrefix(err.Error(), prefix); ok {
		return shorter{err, text}
	}
	return err
}

type shorter struct {
	error
	text string
}

func (e shorter) Error() string { return e.text }
func (e shorter) Unwrap() error { return e.error }

// timedOut reports whether an error is for want of an answer. The socket's own deadline may
// come before that of its context.
func timedOut(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// reason is the text of a network error without the addresses, which the line has.
func reason(err error) string {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*os.SyscallError](err); ok {
		err = e.Err
	}
	return err.Error()
}

// ms returns a time in milliseconds, with three digits that count.
func ms(d time.Duration) string { return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond)) }
