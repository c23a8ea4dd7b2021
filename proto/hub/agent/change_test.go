package agent_test

import (
	"sync"
	"testing"
	"time"

	"mesh/proto/hub"
)

// network is that of a machine which moves.
type network struct {
	mu   sync.Mutex
	next chan struct{}
}

func (n *network) Next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next == nil {
		n.next = make(chan struct{})
	}
	return n.next
}

func (n *network) change() {
	n.Next()
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.next)
	n.next = nil
}

// After a change of the network an agent comes back within two seconds to a hub that does not
// hear it any more, and at once to one that has refused it. It stays with one that answers.
func TestChange(t *testing.T) {
	t.Parallel()
	const second, minute = time.Second, time.Minute
	for _, c := range []struct {
		name     string
		hub      shortHub
		min, max time.Duration // from the login, or from the end of the connection, to the next login
	}{
		{"does not hear it", shortHub{mute: true, up: time.Hour, changeAt: second}, 2 * second, 3 * second},
		{"hears it", shortHub{up: minute, changeAt: second}, 0, firstPause},
		{"has refused it", shortHub{code: hub.CloseNoMember, changeAt: minute}, minute - second, minute + second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			waits := observe(t, &c.hub, 1)
			if len(waits) != 1 || waits[0] < c.min || waits[0] > c.max {
				t.Errorf("got the next login after %v, want %v to %v", waits, c.min, c.max)
			}
		})
	}
}
