package linktest

import (
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
)

// OverBoth runs f as two parallel subtests, each in a bubble of virtual time: on
// a network with QUIC alone, and on one with TCP alone.
func OverBoth(t *testing.T, latency time.Duration, f func(t *testing.T, n *Net)) {
	t.Helper()
	for _, via := range []string{proto.ViaQUIC, proto.ViaTCP} {
		t.Run(via, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { f(t, &Net{Latency: latency, TCP: via == proto.ViaTCP}) })
		})
	}
}
