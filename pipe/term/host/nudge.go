package host

import "time"

// nudgeTime is how long the network may stay unpolled.
const nudgeTime = time.Millisecond

// netpollNudge makes the Go scheduler poll the network while one goroutine always has
// work: a flood to read. The thread that found that goroutine ready was the one that
// polled the network. If nothing else becomes ready, no other thread polls within
// 10 ms (findRunnable and sysmon in runtime/proc.go, Go 1.26; golang/go#51651), and no
// key arrives. Waking a goroutine starts a thread, which polls when it has nothing to
// run.
type netpollNudge struct {
	last time.Time
	wake chan struct{} // nudge sends, close closes
	done chan struct{} // closed by the goroutine
}

func newNetpollNudge() *netpollNudge {
	n := &netpollNudge{wake: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		defer close(n.done)
		for range n.wake {
		}
	}()
	return n
}

// nudge is called after each read. It does not block.
func (n *netpollNudge) nudge() {
	now := time.Now()
	if now.Sub(n.last) < nudgeTime {
		return
	}
	n.last = now
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *netpollNudge) close() {
	close(n.wake)
	<-n.done
}
