package host

import "time"

// lookTime is how long the network may be overlooked.
const lookTime = time.Millisecond

// lookout has the Go runtime look at the network while one goroutine has work all
// the time: a flood to read. The thread that found that goroutine ready was the one
// that waited for the network, and if nothing else becomes ready, no other takes
// its place before 10 ms are over (findRunnable and sysmon in runtime/proc.go, Go
// 1.26; golang/go#51651). Meanwhile no key comes in. A goroutine that is woken has
// a thread started, which waits for the network when it has nothing to run.
type lookout struct {
	looked time.Time
	wake   chan struct{} // look sends, close closes
	done   chan struct{} // closed by the goroutine
}

func newLookout() *lookout {
	l := &lookout{wake: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for range l.wake {
		}
	}()
	return l
}

// look is to be called again and again. It does not block.
func (l *lookout) look() {
	now := time.Now()
	if now.Sub(l.looked) < lookTime {
		return
	}
	l.looked = now
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *lookout) close() {
	close(l.wake)
	<-l.done
}
