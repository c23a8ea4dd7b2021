package node

import (
	"context"
	"errors"
	"fmt"

	"mesh/proto"
	"mesh/proto/hub/agent"
)

// pairRace shows a code, and a token too if the user asks for it or if there is no code
// soon. The first node that proves one of them counts.
type pairRace struct {
	pairing *pairing
	ctx     context.Context
	cancel  context.CancelFunc
	ends    chan pairEnd
	running int
	tokens  bool // a token is shown, or was
	first   *acquainted
	err     error
}

// pairEnd is how one of the two ways to meet has ended.
type pairEnd struct {
	met    *acquainted
	err    error
	byCode bool
}

// race runs the race. Heard is told each answer of a hub until there is a code.
func (p *pairing) race(ctx context.Context, heard <-chan struct{}) (*acquainted, error) {
	r := &pairRace{pairing: p, ends: make(chan pairEnd, 2)}
	r.ctx, r.cancel = context.WithCancel(ctx)
	defer r.cancel()
	shown := make(chan struct{})
	r.start(true, func(ctx context.Context) (*acquainted, error) { return p.showCode(ctx, shown) })
	if p.offer.ShowToken || p.offer.TokenFile != "" {
		r.showToken()
	}
	for late := untilLate(r.ctx, heard); r.running > 0; {
		select {
		case <-shown:
			shown, late = nil, nil
		case <-late:
			late = nil
			r.showToken()
		case e := <-r.ends:
			r.ended(e)
		}
	}
	return r.first, r.err
}

func (r *pairRace) start(byCode bool, meet func(context.Context) (*acquainted, error)) {
	r.running++
	go func() {
		met, err := meet(r.ctx)
		r.ends <- pairEnd{met, err, byCode}
	}()
}

func (r *pairRace) showToken() {
	if !r.tokens && r.ctx.Err() == nil {
		r.tokens = true
		r.start(false, r.pairing.showToken)
	}
}

// ended handles the end of one way. The other one goes on without it, unless a node has
// proven itself, or too many have proven a wrong code.
func (r *pairRace) ended(e pairEnd) {
	r.running--
	switch guessed := e.byCode && proto.CodeOf(e.err) == proto.Denied && !errors.Is(e.err, agent.ErrLogin); {
	case e.met != nil && r.first != nil:
		e.met.refuse()
	case e.met != nil:
		r.first, r.err = e.met, nil
		r.cancel()
	case r.first != nil || r.err != nil: // this way was told to end
	case guessed || r.ctx.Err() != nil:
		r.err = e.err
		r.cancel()
	case e.byCode:
		r.pairing.node.Warn(fmt.Errorf("no code: %w", e.err))
		if r.showToken(); r.running == 0 {
			r.err = e.err
		}
	case r.running > 0:
		r.pairing.node.Warn(fmt.Errorf("no token: %w", e.err))
	default:
		r.err = e.err
	}
}
