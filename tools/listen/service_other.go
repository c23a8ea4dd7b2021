//go:build !linux

package listen

import "time"

// service reports to nobody: systemd runs on Linux only.
type service struct {
	due <-chan time.Time // nil: there is no watchdog
}

func newService() *service { return &service{} }

func (*service) stop()      {}
func (*service) alive()     {}
func (*service) ready()     {}
func (*service) stopping()  {}
func (*service) reloading() {}
