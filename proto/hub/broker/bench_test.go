package broker_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"mesh/proto/hub/broker"
	"mesh/proto/identity"
)

// BenchmarkFacts starts a hub on the facts of 10,000 members, each of which came by an invite
// and has a lasting name. B/member is the memory that the hub keeps for each of them while it
// is offline.
func BenchmarkFacts(b *testing.B) {
	const members = 10000
	w := newWorld(b)
	for i := range members {
		id := identity.ID{0: 1, 1: byte(i), 2: byte(i >> 8)}
		name := fmt.Sprintf("a-name-of-usual-length-%d", i)
		for key, value := range map[string]any{
			"member/" + id.String(): broker.Member{Node: id, Since: w.now, Invite: id},
			"name/" + name:          broker.Name{Name: name, Node: id, Since: w.now, Online: w.now.Add(-time.Minute), Lasting: true},
		} {
			text, err := json.Marshal(value)
			if err != nil {
				b.Fatal(err)
			}
			w.store.facts[key] = text
		}
	}
	w.restart()
	var kept uint64
	for b.Loop() {
		w.b = nil
		before := inUse()
		w.restart()
		kept = inUse() - before
	}
	b.ReportMetric(float64(kept)/members, "B/member")
}

// inUse returns the memory of what is reachable.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
