package listen

import (
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// service reports the state of the daemon to the service manager (sd_notify(3)), if
// there is one. A message that does not get through is ignored.
type service struct {
	// due ticks twice in each watchdog period; nil without a watchdog.
	due    <-chan time.Time
	ticker *time.Ticker
	pings  chan struct{} // sent by alive, closed by stop
	done   chan struct{} // closed when the goroutine that sends pings has ended
}

func newService() *service {
	s := &service{pings: make(chan struct{}, 1), done: make(chan struct{})}
	if every, err := systemd.SdWatchdogEnabled(false); err == nil && every > 0 {
		s.ticker = time.NewTicker(every / 2)
		s.due = s.ticker.C
	}
	go func() {
		defer close(s.done)
		for range s.pings {
			s.notify(systemd.SdNotifyWatchdog)
		}
	}()
	return s
}

// stop ends the watchdog pings. It does not wait longer than a second for a manager
// that does not take one.
func (s *service) stop() {
	if s.ticker != nil {
		s.ticker.Stop()
	}
	close(s.pings)
	select {
	case <-s.done:
	case <-time.After(time.Second):
	}
}

func (s *service) notify(state string) { _, _ = systemd.SdNotify(false, state) }

// alive sends a watchdog ping. It does not wait for a slow manager.
func (s *service) alive() {
	select {
	case s.pings <- struct{}{}:
	default:
	}
}

func (s *service) ready()    { s.notify(systemd.SdNotifyReady) }
func (s *service) stopping() { s.notify(systemd.SdNotifyStopping) }

// reloading must be followed by ready.
func (s *service) reloading() {
	s.notify(systemd.SdNotifyReloading + "\n" + systemd.SdNotifyMonotonicUsec())
}
