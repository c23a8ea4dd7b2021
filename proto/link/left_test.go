package link_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/path"
	tp "mesh/proto/transport"
	"mesh/proto/xtest"
)

// believed is how long a relay must say that the peer has left.
const believed = 30 * time.Second

// process is what the kernel closes when a process at one end of a relay ends. It passes
// carriers on until then.
type process struct {
	mu    sync.Mutex
	conns []net.Conn
	over  bool
}

func (p *process) note(c tp.Carrier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, c.Conn)
}

// kill closes the connections as the kernel does: with FIN, or with RST where bytes were
// not read.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	for _, c := range p.conns {
		c.Close()
	}
}

func (p *process) route(w path.Route) path.Route {
	dial := w.Dial
	w.Dial = func(ctx context.Context) (tp.Carrier, error) {
		p.mu.Lock()
		over := p.over
		p.mu.Unlock()
		if over {
			<-ctx.Done()
			return tp.Carrier{}, ctx.Err()
		}
		c, err := dial(ctx)
		if err == nil {
			p.note(c)
		}
		return c, err
	}
	return w
}

// taker notes the carriers of a listener's process.
type taker struct {
	*process
	to linktest.Taker
}

func (k taker) Take(c tp.Carrier) error {
	k.note(c)
	return k.to.Take(c)
}

// killable is a link through a relay whose ends can be killed.
type killable struct {
	relay            *linktest.Relay
	dialer, listener *process
	dl, ll           *link.Link
	leaveRelay       func() // ends the listener's place
}

type metBy struct{ routes func() <-chan path.Route }

func (m metBy) Routes(context.Context) (<-chan candidate.Candidate, <-chan path.Route) {
	return nil, m.routes()
}

func (metBy) Better(context.Context, path.Kind) (<-chan candidate.Candidate, <-chan path.Route) {
	return nil, nil
}

func (metBy) Relayed() bool { return true }

func newKillable(t *testing.T) *killable {
	t.Helper()
	n := &linktest.Net{Latency: latency, TCP: true}
	s := newSite(t, n, proto.AllCaps, 1)
	k := &killable{relay: n.Relay(t), dialer: new(process), listener: new(process)}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { k.relay.Serve(ctx, taker{k.listener, s.endpoint}) })
	k.leaveRelay = stop
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	synctest.Wait()
	cred, _ := s.issue(t, proto.CapSend, 0, 1)
	target := s.throughRelay(k.relay, cred, proto.CapSend)
	all := func() <-chan path.Route { return routes(k.dialer.route(k.relay.Route())) }
	target.Routes, target.Meeting = all(), metBy{all}
	e, _ := n.Endpoint(t)
	var err error
	if k.dl, err = e.Dial(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	k.ll = s.accept(t)
	echo(t, k.dl, k.ll)
	return k
}

// The end of a process over a relay is noticed by the word of the relay, after 30 s.
func TestRelaySaysLeft(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]func(*killable) *link.Link{
		"dialer": func(k *killable) *link.Link { k.dialer.kill(); return k.ll },
		"listener": func(k *killable) *link.Link {
			k.leaveRelay()
			k.listener.kill()
			return k.dl
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := newKillable(t)
				left := kill(k)
				begun := time.Now()
				if _, err := left.Read(make([]byte, 1)); err == nil {
					t.Error("read: got no error")
				}
				_, err := left.Resume(t.Context())
				xtest.WantCode(t, "resume", err, proto.Truncated)
				if took := time.Since(begun); took < believed || took > believed+3*time.Second {
					t.Errorf("given up after %s, want %s", took, believed)
				}
				k.dl.Close(err)
				k.ll.Close(err)
			})
		})
	}
}

// A peer that comes back within the time is no peer that has left, however often.
func TestRelaySaysLeftOfALivingPeer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKillable(t)
		for range 3 {
			k.dialer.kill()
			time.AfterFunc(believed-2*time.Second, func() {
				k.dialer.mu.Lock()
				defer k.dialer.mu.Unlock()
				k.dialer.over = false
			})
			k.dl, k.ll = resumeBoth(t, k.dl, k.ll)
			echo(t, k.dl, k.ll)
		}
		k.dl.Close(nil)
		k.ll.Close(nil)
	})
}

// What the relay has said of a connection before does not count when the link breaks by
// something else: only what it says from then on.
func TestRelaySaidLeftBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKillable(t)
		flow, err := k.dl.AddFlow(t.Context(), proto.ViaTCP)
		if err != nil {
			t.Fatal(err)
		}
		other, err := k.ll.AcceptFlow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = other.Read(make([]byte, 1)) })
		flow.Close(nil) // its connection ends with FIN: the relay says so from now on
		wg.Wait()
		other.Close(nil)
		<-time.After(time.Minute)
		k.dialer.mu.Lock()
		k.dialer.over = true // can't reach the relay for a while
		k.dialer.mu.Unlock()
		k.dl.Break(tp.ErrNoAnswer)
		time.AfterFunc(believed-2*time.Second, func() {
			k.dialer.mu.Lock()
			defer k.dialer.mu.Unlock()
			k.dialer.over = false
		})
		k.dl, k.ll = resumeBoth(t, k.dl, k.ll)
		echo(t, k.dl, k.ll)
		k.dl.Close(nil)
		k.ll.Close(nil)
	})
}

// A process that is killed with unread bytes resets its connection, which says nothing:
// it is waited for as long as the transfer may wait.
func TestRelayResetIsNobodysWord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKillable(t)
		if _, err := k.ll.Write([]byte("unread")); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		k.dialer.kill()
		if _, err := k.ll.Read(make([]byte, 1)); err == nil {
			t.Error("read: got no error")
		}
		const limit = 2 * time.Minute
		ctx, cancel := context.WithTimeoutCause(t.Context(), limit, proto.Errorf(proto.Timeout, "not resumed in time"))
		defer cancel()
		begun := time.Now()
		_, err := k.ll.Resume(ctx)
		xtest.WantCode(t, "resume", err, proto.Timeout)
		if took := time.Since(begun); took != limit {
			t.Errorf("gave up after %s, want %s", took, limit)
		}
		k.dl.Close(err)
		k.ll.Close(err)
	})
}

// A silent link is given up sooner where there is a relay, and sooner still while the
// peer owes an acknowledgement.
func TestWatchWithRelay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		relayed bool
		pending func() bool
		want    time.Duration
	}{
		{"no relay", false, func() bool { return true }, proto.QuietTimeout},
		{"relay", true, nil, proto.QuietWithRelay},
		{"nothing pending", true, func() bool { return false }, proto.QuietWithRelay},
		{"pending", true, func() bool { return true }, proto.PendingWithRelay},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			linktest.OverBoth(t, latency, func(t *testing.T, n *linktest.Net) {
				s := newSite(t, n, proto.AllCaps, 1)
				r := n.Relay(t)
				cred, _ := s.issue(t, proto.CapSend, 0, 1)
				target := s.target(cred, proto.CapSend)
				if c.relayed {
					target.Meeting = met{r}
				}
				e, _ := n.Endpoint(t)
				dl, err := e.Dial(t.Context(), target)
				if err != nil {
					t.Fatal(err)
				}
				ll := s.accept(t)
				ctx, stop := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				over := make(chan struct{})
				wg.Go(func() {
					defer close(over)
					dl.Watch(ctx, c.pending)
				})
				wg.Go(func() { _, _ = ll.Read(make([]byte, 1)) })
				wg.Go(func() { _, _ = dl.Read(make([]byte, 1)) })
				select {
				case <-over:
					t.Error("the link broke while the peer was there")
				case <-time.After(time.Minute):
				}
				n.Cut()
				begun := time.Now()
				<-over
				if took := time.Since(begun); took < c.want-proto.KeepAlive || took > c.want+link.WatchInterval {
					t.Errorf("broke after %s, want %s at most, and %s less if a keep-alive is due", took, c.want, proto.KeepAlive)
				}
				stop()
				dl.Close(nil)
				ll.Close(nil)
				wg.Wait()
			})
		})
	}
}
