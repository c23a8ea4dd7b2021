package listen

import (
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// service tells the service manager, if there is one, how we are. That a message
// does not get through is its own matter.
type service struct {
	// alive ticks twice in the time that systemd waits for a sign of life; nil
	// when it waits for none.
	alive <-chan time.Time
	stop  func()
}

func newService() *service {
	s := &service{stop: func() {}}
	if every, err := systemd.SdWatchdogEnabled(false); err == nil && every > 0 {
		t := time.NewTicker(every / 2)
		s.alive, s.stop = t.C, t.Stop
	}
	return s
}

func (s *service) tell(state string) { _, _ = systemd.SdNotify(false, state) }

func (s *service) ready()    { s.tell(systemd.SdNotifyReady) }
func (s *service) isAlive()  { s.tell(systemd.SdNotifyWatchdog) }
func (s *service) stopping() { s.tell(systemd.SdNotifyStopping) }

// reloading is followed by ready.
func (s *service) reloading() {
	s.tell(systemd.SdNotifyReloading + "\n" + systemd.SdNotifyMonotonicUsec())
}
