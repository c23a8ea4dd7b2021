//go:build !conpty

package pty

import (
	"io"

	"mesh/proto"
)

// Supported says whether there are terminals here.
const Supported = false

// Process is a command on a terminal of its own, which there is none of here.
type Process struct{}

// Start fails with [proto.Usage].
func Start(Options) (*Process, error) {
	return nil, proto.Errorf(proto.Usage, "sharing a terminal on Windows is experimental, and not in this mesh")
}

// Read has nothing to read.
func (*Process) Read([]byte) (int, error) { return 0, io.EOF }

// Write has nowhere to write.
func (*Process) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Hides reports false.
func (*Process) Hides() bool { return false }

// Resize does nothing.
func (*Process) Resize(int, int) error { return nil }

// Ended is never closed.
func (*Process) Ended() <-chan struct{} { return nil }

// Wait returns at once.
func (*Process) Wait() Exit { return Exit{} }

// Pid is 0.
func (*Process) Pid() int { return 0 }

// Close does nothing.
func (*Process) Close() {}
