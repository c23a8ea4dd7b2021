//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/scripts/internal/measure"
)

// sealedBytes is the length of a sealed grant with some candidates.
const sealedBytes = 1300

// pairs are members that ask each other for sessions, over connections that stay.
type pairs struct {
	dialers, listeners []*member
	wg                 sync.WaitGroup
	ctx                context.Context // of the connections; ends with stop
	cancel             context.CancelFunc
}

// member is a member that is logged in.
type member struct {
	key  *identity.Key
	conn *agent.Conn

	mu      sync.Mutex
	created map[hub.ID]chan struct{} // closed when the session is created
}

// pairs logs the paired members in.
func (m *members) pairs(ctx context.Context, u hub.URL) (*pairs, error) {
	p := &pairs{}
	p.ctx, p.cancel = context.WithCancel(ctx)
	for i, k := range m.paired {
		one := &member{key: k, created: make(map[hub.ID]chan struct{})}
		var err error
		one.conn, err = agent.Dial(ctx, options(u, k, len(m.alone)+1+i), func(e hub.Event) { p.event(one, e) })
		if err != nil {
			p.stop()
			return nil, err
		}
		p.wg.Go(func() { _ = one.conn.Run(p.ctx) })
		if i%2 == 0 {
			p.dialers = append(p.dialers, one)
			continue
		}
		p.listeners = append(p.listeners, one)
		if _, err := one.conn.Call(ctx, hub.TypeRegister, &hub.Register{Kinds: []hub.Kind{hub.KindPipe}}); err != nil {
			p.stop()
			return nil, err
		}
	}
	return p, nil
}

func (p *pairs) stop() {
	p.cancel()
	p.wg.Wait()
}

// event accepts each offer. The hub reads neither what is sealed nor its signature.
func (p *pairs) event(m *member, e hub.Event) {
	switch e.Type {
	case hub.TypeOffer:
		var o hub.Offer
		if e.Read(&o) != nil {
			return
		}
		a := &hub.Accept{Session: o.Request.Session, Sealed: hub.NewNonce(sealedBytes), Sig: hub.NewNonce(hub.SignatureBytes)}
		p.wg.Go(func() { _ = m.conn.Send(p.ctx, hub.TypeAccept, a) })
	case hub.TypeCreated:
		var c hub.Created
		if e.Read(&c) != nil {
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if done := m.created[c.Session]; done != nil {
			close(done)
			delete(m.created, c.Session)
		}
	}
}

// rateOfSessions is what was measured of sessions at one rate, in milliseconds: how long
// each took, and how late it began.
type rateOfSessions struct{ took, late measure.Figures }

// sessions makes n sessions, so many a second.
func (p *pairs) sessions(ctx context.Context, n, rate int) (rateOfSessions, error) {
	r, errs := rateOfSessions{make(measure.Figures, n), make(measure.Figures, n)}, make([]error, n)
	var wg sync.WaitGroup
	began := time.Now()
	for i := range n {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			return r, ctx.Err()
		}
		// Each round pairs the members in another way.
		d, l := p.dialers[i%len(p.dialers)], p.listeners[(i+i/len(p.dialers))%len(p.listeners)]
		wg.Go(func() {
			r.late[i] = measure.MS(time.Since(due))
			var took time.Duration
			took, errs[i] = d.session(ctx, l.key.ID())
			r.took[i] = measure.MS(took)
		})
	}
	wg.Wait()
	measure.Say("%d sessions in %v", n, time.Since(began).Round(time.Millisecond))
	return r, errors.Join(errs...)
}

// session asks for a session, and waits until it is created.
func (m *member) session(ctx context.Context, with identity.ID) (time.Duration, error) {
	r := &hub.Request{Session: hub.NewID(), To: with.String(), Kind: hub.KindPipe, Want: "send", Seal: hub.NewNonce(hub.SealKeyBytes)}
	r.Sign(m.key, m.conn.Hub)
	done := make(chan struct{})
	m.mu.Lock()
	m.created[r.Session] = done
	m.mu.Unlock()
	began := time.Now()
	if _, err := m.conn.Call(ctx, hub.TypeRequest, r); err != nil {
		return 0, err
	}
	select {
	case <-done:
		return time.Since(began), nil
	case <-time.After(hub.AnswerTimeout):
		return 0, errors.New("a session was not created in time")
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// changes registers n new names, one after the other, and returns how long each took.
func (p *pairs) changes(ctx context.Context, n int) (times []time.Duration, err error) {
	for i := range n {
		r := &hub.Register{Name: fmt.Sprintf("n%d-%x", i, rand.Uint64()), Kinds: []hub.Kind{hub.KindPipe}, Lasting: true}
		began := time.Now()
		if _, err := p.dialers[i%len(p.dialers)].conn.Call(ctx, hub.TypeRegister, r); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
	}
	return times, nil
}
