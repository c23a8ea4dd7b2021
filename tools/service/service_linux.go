// Package service talks to the service manager of the system, which is systemd or nobody.
package service

import (
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// Manager is told the state of this daemon (sd_notify(3)), if there is one. A message that does not get through is ignored.
type Manager struct {
	// Due ticks twice in each watchdog period; nil without a watchdog.
	Due    <-chan time.Time
	ticker *time.Ticker
	pings  chan struct{} // sent by Alive, closed by Stop
	done   chan struct{} // closed when the goroutine that sends pings has ended
}

// New returns the service manager of this process. Call [Manager.Stop] in the end.
func New() *Manager {
	m := &Manager{pings: make(chan struct{}, 1), done: make(chan struct{})}
	if every, err := systemd.SdWatchdogEnabled(false); err == nil && every > 0 {
		m.ticker = time.NewTicker(every / 2)
		m.Due = m.ticker.C
	}
	go func() {
		defer close(m.done)
		for range m.pings {
			m.notify(systemd.SdNotifyWatchdog)
		}
	}()
	return m
}

// Stop ends the watchdog pings. It does not wait longer than a second for a manager
// that does not take one.
func (m *Manager) Stop() {
	if m.ticker != nil {
		m.ticker.Stop()
	}
	close(m.pings)
	select {
	case <-m.done:
	case <-time.After(time.Second):
	}
}

func (m *Manager) notify(state string) { _, _ = systemd.SdNotify(false, state) }

// Alive sends a watchdog ping. It does not wait for a slow manager.
func (m *Manager) Alive() {
	select {
	case m.pings <- struct{}{}:
	default:
	}
}

// Ready says that the daemon serves.
func (m *Manager) Ready() { m.notify(systemd.SdNotifyReady) }

// Stopping says that the daemon ends.
func (m *Manager) Stopping() { m.notify(systemd.SdNotifyStopping) }

// Reloading says that the daemon reads its settings again. Ready must follow.
func (m *Manager) Reloading() {
	m.notify(systemd.SdNotifyReloading + "\n" + systemd.SdNotifyMonotonicUsec())
}
