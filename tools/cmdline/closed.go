package cmdline

import (
	"os"

	"mesh/proto"
)

// The Go runtime opens /dev/null for reading and writing in the place of a standard
// stream that the parent process closed, so that no socket becomes descriptor 0, 1 or
// 2. Some parents open it so themselves. The two cases cannot be told apart, and in
// both what the stream is for would be lost with status 0. A shell opens /dev/null for
// one direction: that is what the user wants.

// RequireOut returns an error if standard output is closed, for a tool whose purpose it
// is. Call it before a peer is called or a token shown.
func (s Streams) RequireOut() error {
	if f, ok := s.Out.(*os.File); !ok || !seemsClosed(f) {
		return nil
	}
	err := proto.Errorf(proto.IO, "standard output is closed, or is /dev/null opened for reading and writing: what arrives would be lost")
	return proto.Hint(err, "redirect it: >FILE, or >/dev/null, which opens that for writing only")
}

// RequireIn returns an error if standard input is closed, for a tool whose source it is.
func (s Streams) RequireIn() error {
	if f, ok := s.In.(*os.File); !ok || !seemsClosed(f) {
		return nil
	}
	err := proto.Errorf(proto.IO, "standard input is closed, or is /dev/null opened for reading and writing: there is nothing to send")
	return proto.Hint(err, "redirect it: <FILE, or </dev/null, which opens that for reading only")
}
