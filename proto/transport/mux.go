package transport

import (
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"

	"mesh/proto/nat"
)

// mux starts the reader of the datagrams at a socket that are not QUIC. The zero value is ready to use.
// An endpoint that needs none has none: quic-go reads a socket from its first use on, and
// what comes between then and Listen is lost.
type mux struct {
	once   sync.Once
	reader atomic.Pointer[nat.Mux] // nil if it was never started
}

func (m *mux) of(t *quic.Transport) *nat.Mux {
	m.once.Do(func() { m.reader.Store(nat.NewMux(t)) })
	return m.reader.Load()
}

func (m *mux) close() {
	m.once.Do(func() {})
	if reader := m.reader.Load(); reader != nil {
		reader.Close()
	}
}
