package nat

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/jackpal/gateway"

	"mesh/proto/candidate"
)

const (
	// mapLease is for how long a router is asked to forward a port. It is asked again after
	// half of what it grants, at least minRenewal.
	mapLease   = 2 * time.Hour
	minRenewal = time.Minute
	// mapAgain is the pause after a router did not forward a port.
	mapAgain = 10 * time.Minute
	// seenAgain is the pause while no STUN server has answered. No router is asked then.
	seenAgain = 10 * time.Second
	// mapEnd bounds the time in which the ports are given back.
	mapEnd = time.Second
)

// PortMapOptions says which ports of this machine a router shall forward.
type PortMapOptions struct {
	UDP, TCP uint16 // 0 for none
	// Quick asks with NAT-PMP alone, once, which takes a quarter of a second at most.
	Quick bool
	// Seen returns the addresses at which STUN servers see this machine, none while they are
	// unknown. The router's external address must be one of them: if it is not, there is
	// another NAT behind that router, or the router lies.
	Seen func() []netip.Addr
}

// Forwards are the ports that the router forwards.
type Forwards struct {
	Candidates []candidate.Candidate
	By         string // "NAT-PMP" or "UPnP"; "" for none
	External   netip.Addr
	Err        error // why there is no candidate
}

func (f Forwards) same(g Forwards) bool {
	return slices.Equal(f.Candidates, g.Candidates) && f.By == g.By && f.External == g.External && fmt.Sprint(f.Err) == fmt.Sprint(g.Err)
}

// MapPorts asks the router of the default route to forward ports to this machine, by
// NAT-PMP (RFC 6886) or UPnP (Internet Gateway Device), and keeps them until ctx ends. The
// channel brings what there is: first within a second with NAT-PMP, within some 3 s
// without, then after each change. When ctx ends, the ports are given back, which takes a second at most,
// and the channel is closed. For another network the caller begins anew.
func MapPorts(ctx context.Context, o PortMapOptions) <-chan Forwards {
	m := portMap{options: o, find: findRouters}
	out := make(chan Forwards)
	go func() {
		defer close(out)
		m.run(ctx, out)
	}()
	return out
}

// router is one way to talk to a router. Its calls block until the router answers, or
// until their context or their own time limit ends.
type router interface {
	name() string
	external(ctx context.Context) (netip.Addr, error)
	// add asks to forward an external port, preferably the same one, to a port of this
	// machine, and returns what the router grants.
	add(ctx context.Context, p candidate.Proto, port uint16) (granted uint16, lease time.Duration, err error)
	remove(ctx context.Context, p candidate.Proto, port, granted uint16)
}

// way opens one way to talk to a router.
type way func(context.Context) (router, error)

// portMap is a run of MapPorts.
type portMap struct {
	options PortMapOptions
	find    func(PortMapOptions) ([]way, error)

	router router // nil while there is none
	held   map[candidate.Proto]uint16
}

func (m *portMap) run(ctx context.Context, out chan<- Forwards) {
	defer m.giveBack()
	var last Forwards
	for first := true; ; first = false {
		now, again := m.ask(ctx)
		if ctx.Err() != nil {
			return
		}
		if first || !now.same(last) {
			select {
			case out <- now:
			case <-ctx.Done():
				return
			}
			last = now
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return
		}
	}
}

// ask asks the router that forwards ports, or each that is found until one does. It
// returns what there is, and after which time to ask again.
func (m *portMap) ask(ctx context.Context) (Forwards, time.Duration) {
	if m.router != nil {
		f, again := m.forward(ctx, m.router)
		if f.Err == nil {
			return f, again
		}
		m.giveBack()
	}
	if len(m.options.Seen()) == 0 {
		return Forwards{Err: errors.New("no STUN server has said how it sees this machine")}, seenAgain
	}
	ways, err := m.find(m.options)
	if err != nil {
		return Forwards{Err: err}, mapAgain
	}
	var failed Forwards
	for _, open := range ways {
		r, err := open(ctx)
		if err == nil {
			f, again := m.forward(ctx, r)
			if f.Err == nil {
				return f, again
			}
			m.giveBack()
			err, failed.External = f.Err, f.External
		}
		if failed.Err != nil {
			err = fmt.Errorf("%w; %w", failed.Err, err)
		}
		failed.Err = err
	}
	return failed, mapAgain
}

// forward asks one router for each port.
func (m *portMap) forward(ctx context.Context, r router) (f Forwards, again time.Duration) {
	m.router = r
	if m.held == nil {
		m.held = make(map[candidate.Proto]uint16)
	}
	f.External, f.Err = r.external(ctx)
	if f.Err == nil {
		f.Err = m.check(f.External)
	}
	if f.Err != nil {
		return f, mapAgain
	}
	again = mapLease / 2
	for _, want := range []struct {
		proto candidate.Proto
		port  uint16
	}{{candidate.UDP, m.options.UDP}, {candidate.TCP, m.options.TCP}} {
		if want.port == 0 {
			continue
		}
		granted, lease, err := r.add(ctx, want.proto, want.port)
		if err != nil {
			f.Err = err
			continue
		}
		m.held[want.proto] = granted
		again = max(minRenewal, min(again, lease/2))
		c := candidate.At(candidate.PortMapped, want.proto, netip.AddrPortFrom(f.External, granted), 0xffff)
		if c.Dialable(false) {
			f.Candidates = append(f.Candidates, c)
		} else if f.Err == nil {
			f.Err = fmt.Errorf("%s: the router has forwarded port %d, which peers do not dial", r.name(), granted)
		}
	}
	if len(f.Candidates) > 0 {
		f.By, f.Err = r.name(), nil // one of the two ports is of use
	}
	return f, again
}

var sharedSpace = netip.MustParsePrefix("100.64.0.0/10") // of a provider's NAT (RFC 6598)

// check refuses an external address that is not this machine's on the internet.
func (m *portMap) check(external netip.Addr) error {
	seen := m.options.Seen()
	switch {
	case !external.Is4() || !isReachable(external):
		return errors.New("the router has no address in the internet")
	case external.IsPrivate() || sharedSpace.Contains(external):
		return fmt.Errorf("the router itself is behind a NAT: its address is %s", external)
	case !slices.Contains(seen, external):
		return fmt.Errorf("the router says that its address is %s, but STUN servers see %v: there is a second NAT", external, seen)
	}
	return nil
}

// giveBack lets the router forget what it forwards.
func (m *portMap) giveBack() {
	if m.router == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), mapEnd)
	defer cancel()
	for p, granted := range m.held {
		port := m.options.UDP
		if p == candidate.TCP {
			port = m.options.TCP
		}
		m.router.remove(ctx, p, port, granted)
	}
	m.router, m.held = nil, nil
}

// findRouters returns the ways to the router of the default route.
func findRouters(o PortMapOptions) ([]way, error) {
	ip, err := gateway.DiscoverGateway()
	if err != nil {
		return nil, errors.New("there is no default route for IPv4")
	}
	at, _ := netip.AddrFromSlice(ip)
	at = at.Unmap()
	if !at.Is4() || at.IsUnspecified() {
		return nil, errors.New("the default route has no router")
	}
	local := Sources(netip.AddrPortFrom(at, natPMPPort))
	if len(local) == 0 {
		return nil, fmt.Errorf("the router %s can't be reached", at)
	}
	if slices.Contains(o.Seen(), local[0]) {
		return nil, fmt.Errorf("there is no NAT: STUN servers see this machine at its own address %s", local[0])
	}
	return place{at, local[0], ssdpGroup}.ways(o.Quick), nil
}

// place is where a router is.
type place struct {
	at    netip.Addr
	local netip.Addr     // of this machine, from which it reaches the router
	ssdp  netip.AddrPort // where a search goes
}

func (p place) ways(quick bool) []way {
	list := []way{func(context.Context) (router, error) { return newNATPMP(p, quick), nil }}
	if !quick {
		list = append(list, func(ctx context.Context) (router, error) { return openUPnP(ctx, p) })
	}
	return list
}

// printable returns at most 80 characters of what a router has said, without control
// characters.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 80)]
}
