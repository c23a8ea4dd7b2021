package share_test

import (
	"io"
	"strings"
	"sync"
)

// ioPipe returns the pipes of a viewer that sends the given bytes, and discards what it
// receives.
func ioPipe(says []byte) (*io.PipeReader, *io.PipeWriter) {
	from, w := io.Pipe()
	go func() { _, _ = w.Write(says) }()
	r, to := io.Pipe()
	go func() { _, _ = io.Copy(io.Discard, r) }()
	return from, to
}

// safeBuffer is a buffer for several goroutines.
type safeBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
