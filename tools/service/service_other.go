//go:build !linux

// Package service talks to the service manager of the system, which is systemd or nobody.
package service

import "time"

// Manager is nobody: systemd runs on Linux only.
type Manager struct {
	Due <-chan time.Time // nil: there is no watchdog
}

// New returns the service manager of this process.
func New() *Manager { return &Manager{} }

// Stop does nothing.
func (*Manager) Stop() {}

// Alive does nothing.
func (*Manager) Alive() {}

// Ready does nothing.
func (*Manager) Ready() {}

// Stopping does nothing.
func (*Manager) Stopping() {}

// Reloading does nothing.
func (*Manager) Reloading() {}
