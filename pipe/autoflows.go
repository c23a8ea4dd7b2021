package pipe

import (
	"time"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/wire"
)

const (
	// minTunerPeriod is the shortest useful measurement.
	minTunerPeriod = 400 * time.Millisecond
	// bulkReceivedBytes is how much a dialer has received when it takes the transfer
	// for bulk.
	bulkReceivedBytes = 512 << 10
	// farRTT is the round trip time from which on the path may limit a transfer;
	// nearer peers are limited by their processors.
	farRTT = 5 * time.Millisecond
)

// autoFlows decides how many flows a dialer with [AutoFlows] makes. It outlives a
// leg. It is not safe for more than one goroutine.
type autoFlows struct {
	tuner        flowTuner
	wantTCP      bool // flows over TCP beside a primary link over QUIC
	noTCP        bool // such a flow could not be made in this leg
	tcpLossBound bool // loss slows such a flow down: see [link.Link.LossBound]
}

// beginLeg forgets the facts about the path of the leg before.
func (a *autoFlows) beginLeg() { a.noTCP, a.tcpLossBound = false, false }

// wanted returns how many flows the transfers should have with this primary link,
// and the transport of further ones. For bulk, TCP is faster than QUIC, so a primary
// link over QUIC gets a flow over TCP, which then carries the bulk (see sendState).
// A flow that loss does not slow down (BBR) fills the path alone.
func (a *autoFlows) wanted(x *exchange, primary *link.Link) (n int, via string) {
	bulk := x.out != nil && x.out.backlogged()
	received := primary.Kind != wire.KindTTY && x.counters.Received.Load() >= bulkReceivedBytes
	a.wantTCP = a.wantTCP || (bulk || received) && primary.Via() == proto.ViaQUIC
	via, lossBound, beside := primary.Via(), primary.LossBound(), 0
	if a.wantTCP && !a.noTCP && via == proto.ViaQUIC {
		via, lossBound, beside = proto.ViaTCP, a.tcpLossBound, 1
	}
	worth := primary.RTT >= farRTT && (x.out == nil || bulk && lossBound)
	a.tuner.period = min(max(minTunerPeriod, 5*primary.RTT), tunerPeriod)
	n = beside + a.tuner.wantedFlows(time.Now(), x.counters.Sent.Load()+x.counters.Received.Load(), worth)
	return min(n, proto.MaxFlows), via
}

// recordFlows records that so many links carry the transfers, one of them over via.
func (x *exchange) recordFlows(flows int, via string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.flows = max(x.flows, flows)
	if via != x.via {
		x.via = proto.ViaQUIC + "+" + proto.ViaTCP
	}
}
