package listen

import (
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// service tells the service manager, if there is one, how we are. That a message
// does not get through is its own matter.
type service struct {
	// due ticks twice in the time that the manager waits for a sign of life; nil
	// when it waits for none.
	due   <-chan time.Time
	ticks *time.Ticker
	signs chan struct{} // sent by alive, closed by stop
	done  chan struct{} // closed when no sign is being given any more
}

func newService() *service {
	s := &service{signs: make(chan struct{}, 1), done: make(chan struct{})}
	if every, err := systemd.SdWatchdogEnabled(false); err == nil && every > 0 {
		s.ticks = time.NewTicker(every / 2)
		s.due = s.ticks.C
	}
	go func() {
		defer close(s.done)
		for range s.signs {
			s.tell(systemd.SdNotifyWatchdog)
		}
	}()
	return s
}

// stop ends the signs of life. One that the manager does not take is left to the
// process's end.
func (s *service) stop() {
	if s.ticks != nil {
		s.ticks.Stop()
	}
	close(s.signs)
	select {
	case <-s.done:
	case <-time.After(time.Second):
	}
}

func (s *service) tell(state string) { _, _ = systemd.SdNotify(false, state) }

// alive gives a sign of life, and does not wait for a manager that is slow.
func (s *service) alive() {
	select {
	case s.signs <- struct{}{}:
	default:
	}
}

func (s *service) ready()    { s.tell(systemd.SdNotifyReady) }
func (s *service) stopping() { s.tell(systemd.SdNotifyStopping) }

// reloading is followed by ready.
func (s *service) reloading() {
	s.tell(systemd.SdNotifyReloading + "\n" + systemd.SdNotifyMonotonicUsec())
}
