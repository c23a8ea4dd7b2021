package nat

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto/candidate"
)

var (
	external = netip.MustParseAddr("203.0.113.9")
	started  = PortMapOptions{UDP: 4600, TCP: 4600, Seen: func() []netip.Addr { return []netip.Addr{external} }}
)

// fakeRouter forwards each port as the one above it.
type fakeRouter struct {
	by      string
	address netip.Addr
	lease   time.Duration
	refuses map[candidate.Proto]bool
	silent  bool

	mu           sync.Mutex
	asked, added int
	held         map[candidate.Proto]uint16
}

// change changes the router, and counts returns what it was asked, while MapPorts runs.
func (r *fakeRouter) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *fakeRouter) counts() (asked, added, held int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked, r.added, len(r.held)
}

var errSilent = errors.New("the router does not answer")

func (r *fakeRouter) name() string { return r.by }

func (r *fakeRouter) external(context.Context) (netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if r.silent {
		return netip.Addr{}, errSilent
	}
	return r.address, nil
}

func (r *fakeRouter) add(_ context.Context, p candidate.Proto, port uint16) (uint16, time.Duration, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.added++
	if r.refuses[p] {
		return 0, 0, errors.New("the router refuses")
	}
	r.held[p] = port + 1
	return port + 1, r.lease, nil
}

func (r *fakeRouter) remove(_ context.Context, p candidate.Proto, _, granted uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[p] == granted {
		delete(r.held, p)
	}
}

// play runs MapPorts with routers in virtual time. It gives test the values.
func play(t *testing.T, o PortMapOptions, test func(values <-chan Forwards, stop func()), routers ...*fakeRouter) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var ways []way
		for _, r := range routers {
			r.held = make(map[candidate.Proto]uint16)
			ways = append(ways, func(context.Context) (router, error) { return r, nil })
		}
		m := portMap{options: o, find: func(PortMapOptions) ([]way, error) { return ways, nil }}
		out := make(chan Forwards, 100)
		go func() {
			defer close(out)
			m.run(ctx, out)
		}()
		synctest.Wait()
		test(out, func() { cancel(); synctest.Wait() })
	})
}

func wait(d time.Duration) { <-time.After(d); synctest.Wait() }

func texts(f Forwards) (list []string) {
	for _, c := range f.Candidates {
		list = append(list, string(c.Type)+" "+string(c.Proto)+" "+c.Addr)
	}
	return list
}

func TestPortMap(t *testing.T) {
	t.Parallel()
	r := &fakeRouter{by: "NAT-PMP", address: external, lease: mapLease}
	var seen atomic.Pointer[[]netip.Addr]
	seen.Store(new([]netip.Addr))
	o := started
	o.Seen = func() []netip.Addr { return *seen.Load() }
	play(t, o, func(values <-chan Forwards, stop func()) {
		f := <-values
		if asked, _, _ := r.counts(); f.Err == nil || asked != 0 {
			t.Errorf("got %v after %d questions, want an error and no question while no STUN server has answered", f, asked)
		}
		seen.Store(&[]netip.Addr{netip.MustParseAddr("2001:db8::9"), external})
		wait(seenAgain)
		f = <-values
		if want := []string{"port-mapped udp 203.0.113.9:4601", "port-mapped tcp 203.0.113.9:4601"}; !slices.Equal(texts(f), want) || f.Err != nil || f.By != "NAT-PMP" || f.External != external {
			t.Errorf("got %v, want %v", f, want)
		}
		wait(mapLease/2 - time.Second)
		if _, added, _ := r.counts(); added != 2 {
			t.Errorf("got %d requests before half of the lease, want 2", added)
		}
		wait(2 * time.Second)
		if _, added, _ := r.counts(); added != 4 || len(values) != 0 {
			t.Errorf("got %d requests and %d values after half of the lease, want 4 and 0", added, len(values))
		}
		moved := netip.MustParseAddr("203.0.113.10")
		r.change(func() { r.address = moved })
		seen.Store(&[]netip.Addr{moved})
		wait(mapLease / 2)
		if f := <-values; len(f.Candidates) != 2 || f.External != moved {
			t.Errorf("got %v, want candidates at %s", f, moved)
		}
		r.change(func() { r.silent = true })
		wait(mapLease / 2)
		if f := <-values; len(f.Candidates) != 0 || !errors.Is(f.Err, errSilent) {
			t.Errorf("got %v, want no candidate and %v", f, errSilent)
		}
		r.change(func() { r.silent = false })
		wait(mapAgain)
		if f := <-values; len(f.Candidates) != 2 {
			t.Errorf("got %v, want candidates again", f)
		}
		stop()
		_, _, held := r.counts()
		if f, ok := <-values; ok || held != 0 {
			t.Errorf("got %v, and the router still forwards %d ports: want a closed channel and none", f, held)
		}
	}, r)
}

func TestPortMapLeases(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ lease, again time.Duration }{
		{0, minRenewal}, {time.Second, minRenewal}, {-time.Hour, minRenewal}, {10 * time.Minute, 5 * time.Minute}, {1000 * time.Hour, mapLease / 2},
	} {
		r := &fakeRouter{address: external, lease: tt.lease}
		play(t, started, func(<-chan Forwards, func()) {
			wait(tt.again - time.Second)
			if _, added, _ := r.counts(); added != 2 {
				t.Errorf("lease of %v: got %d requests before %v, want 2", tt.lease, added, tt.again)
			}
			wait(2 * time.Second)
			if _, added, _ := r.counts(); added != 4 {
				t.Errorf("lease of %v: got %d requests after %v, want 4", tt.lease, added, tt.again)
			}
		}, r)
	}
}

// A router that has no address of its own in the internet, or lies about it, is asked for
// no port.
func TestPortMapExternal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ address, want string }{
		{"203.0.113.77", "second NAT"},
		{"192.168.1.5", "itself is behind a NAT"},
		{"10.1.2.3", "itself is behind a NAT"},
		{"100.64.0.5", "itself is behind a NAT"},
		{"0.0.0.0", "no address in the internet"},
		{"127.0.0.1", "no address in the internet"},
		{"169.254.169.254", "no address in the internet"},
		{"224.0.0.1", "no address in the internet"},
		{"255.255.255.255", "no address in the internet"},
		{"2001:db8::9", "no address in the internet"},
	} {
		r := &fakeRouter{address: netip.MustParseAddr(tt.address), lease: mapLease}
		o := started
		o.Seen = func() []netip.Addr {
			return []netip.Addr{external, netip.MustParseAddr("192.168.1.5"), netip.MustParseAddr("100.64.0.5"), netip.MustParseAddr("127.0.0.1")}
		}
		play(t, o, func(values <-chan Forwards, _ func()) {
			f := <-values
			if _, added, _ := r.counts(); f.Err == nil || !strings.Contains(f.Err.Error(), tt.want) || len(f.Candidates) != 0 || added != 0 {
				t.Errorf("%s: got %v after %d requests, want an error with %q and no request", tt.address, f, added, tt.want)
			}
			wait(mapAgain - time.Second)
			if asked, _, _ := r.counts(); asked != 1 {
				t.Errorf("%s: asked %d times in %v, want once", tt.address, asked, mapAgain)
			}
		}, r)
	}
}

func TestPortMapRouters(t *testing.T) {
	t.Parallel()
	all := map[candidate.Proto]bool{candidate.UDP: true, candidate.TCP: true}
	for _, tt := range []struct {
		name          string
		first, second *fakeRouter
		by            string
		want          []string
		err           string
	}{
		{
			"the first way is silent",
			&fakeRouter{silent: true},
			&fakeRouter{by: "UPnP", address: external},
			"UPnP",
			[]string{"port-mapped udp 203.0.113.9:4601", "port-mapped tcp 203.0.113.9:4601"},
			"",
		},
		{
			"the first way refuses",
			&fakeRouter{address: external, refuses: all},
			&fakeRouter{by: "UPnP", address: external},
			"UPnP",
			[]string{"port-mapped udp 203.0.113.9:4601", "port-mapped tcp 203.0.113.9:4601"},
			"",
		},
		{
			"one port is refused",
			&fakeRouter{by: "NAT-PMP", address: external, refuses: map[candidate.Proto]bool{candidate.UDP: true}},
			&fakeRouter{},
			"NAT-PMP",
			[]string{"port-mapped tcp 203.0.113.9:4601"},
			"",
		},
		{
			"both fail",
			&fakeRouter{silent: true},
			&fakeRouter{address: external, refuses: all},
			"", nil, "the router does not answer; the router refuses",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			play(t, started, func(values <-chan Forwards, stop func()) {
				f := <-values
				var err string
				if f.Err != nil {
					err = f.Err.Error()
				}
				if !slices.Equal(texts(f), tt.want) || f.By != tt.by || err != tt.err {
					t.Errorf("got %v by %q, %q, want %v by %q, %q", texts(f), f.By, err, tt.want, tt.by, tt.err)
				}
				stop()
				for _, r := range []*fakeRouter{tt.first, tt.second} {
					if _, _, held := r.counts(); held != 0 {
						t.Errorf("got %d ports that are still forwarded, want 0", held)
					}
				}
			}, tt.first, tt.second)
		})
	}
}

func TestPortMapPorts(t *testing.T) {
	t.Parallel()
	o := started
	o.UDP = 0
	o.TCP = 442 // is forwarded as 443
	r := &fakeRouter{address: external}
	play(t, o, func(values <-chan Forwards, _ func()) {
		if f := <-values; !slices.Equal(texts(f), []string{"port-mapped tcp 203.0.113.9:443"}) {
			t.Errorf("got %v, want port 443 alone", f)
		}
	}, r)
	o.TCP = 21 // as 22
	play(t, o, func(values <-chan Forwards, stop func()) {
		if f := <-values; len(f.Candidates) != 0 || f.Err == nil {
			t.Errorf("got %v, want an error: no peer dials port 22", f)
		}
		stop()
		if _, _, held := r.counts(); held != 0 {
			t.Errorf("the router still forwards %d ports, want none", held)
		}
	}, r)
}
