package node

import (
	"fmt"
	"sync"
	"time"

	"mesh/proto"
)

// faultEvery is the time between two warnings about this node's own faults. Strangers
// can cause faults, so they must not decide how many lines the log gets.
const faultEvery = time.Minute

// Warn prints a line about what is not as it should be, and ends nothing.
func (n *Node) Warn(err error) {
	n.printed.Store(true)
	if log := n.options.Records; log != nil {
		log.Warn(err.Error())
		return
	}
	fmt.Fprintf(n.options.Stderr, "%s: warning: %s\n", n.options.Name, proto.HideSecrets(proto.EscapeText(err.Error())))
}

// note prints a line that the user may miss something without.
func (n *Node) note(text string) {
	n.printed.Store(true)
	n.tell(text)
}

// tell prints a line.
func (n *Node) tell(text string) {
	if log := n.options.Records; log != nil {
		log.Info(text)
		return
	}
	fmt.Fprintf(n.options.Stderr, "%s: %s\n", n.options.Name, text)
}

// HasPrinted reports whether the node has printed a token, a warning or a note: a tool
// that takes the screen lets the user read it before.
func (n *Node) HasPrinted() bool { return n.printed.Load() }

// faults warns of what keeps this node from taking peers, at most once in faultEvery.
type faults struct {
	node *Node
	mu   sync.Mutex
	last time.Time
}

func (f *faults) report(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); f.last.IsZero() || now.Sub(f.last) >= faultEvery {
		f.last = now
		f.node.Warn(fmt.Errorf("peers are turned away for now: %w", err))
	}
}
