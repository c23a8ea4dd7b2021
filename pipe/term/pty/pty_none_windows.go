//go:build !conpty

package pty

import (
	"io"

	"mesh/proto"
)

// Supported reports whether Start can succeed on this system.
const Supported = false

// Process cannot be made in this build.
type Process struct{}

// Start fails with [proto.Usage].
func Start(Options) (*Process, error) {
	return nil, proto.Errorf(proto.Usage, "share a terminal: experimental on Windows, and not in this build")
}

// Read returns [io.EOF].
func (*Process) Read([]byte) (int, error) { return 0, io.EOF }

// Write fails.
func (*Process) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Hides reports false.
func (*Process) Hides() bool { return false }

// Flow returns none.
func (*Process) Flow() Flow { return Flow{} }

// Foreground returns 0: Windows has no process groups of a terminal.
func (*Process) Foreground() int { return 0 }

// HasJob reports false.
func (*Process) HasJob(int) bool { return false }

// Resize does nothing.
func (*Process) Resize(int, int) error { return nil }

// Ended is never closed.
func (*Process) Ended() <-chan struct{} { return nil }

// Wait returns at once.
func (*Process) Wait() Exit { return Exit{} }

// Pid returns 0.
func (*Process) Pid() int { return 0 }

// Close does nothing.
func (*Process) Close() {}
