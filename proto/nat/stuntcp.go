package nat

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// Map asks a STUN server over TCP (RFC 8489, section 6.2.2) from which address it sees the
// port. It keeps the connection until Close, since that holds the NAT's mapping. So each
// server can be asked once. It blocks until the answer or until ctx ends.
func (h *Hole) Map(ctx context.Context, server netip.AddrPort) (netip.AddrPort, error) {
	ctx, cancel := h.within(ctx)
	defer cancel()
	mapped, err := h.mapAt(ctx, server)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return netip.AddrPort{}, fmt.Errorf("STUN over TCP at %s: %w", server, err)
	}
	return mapped, nil
}

func (h *Hole) mapAt(ctx context.Context, server netip.AddrPort) (netip.AddrPort, error) {
	conn, err := h.connect(ctx, server)
	if err != nil {
		return netip.AddrPort{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	mapped, err := askMapped(conn)
	if err == nil {
		err = h.keep(conn, mapped)
	}
	if err != nil {
		conn.Close()
	}
	return mapped, err
}

// keep holds a connection until Close.
func (h *Hole) keep(conn net.Conn, mapped netip.AddrPort) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return net.ErrClosed
	}
	h.kept, h.mapped = append(h.kept, conn), append(h.mapped, mapped)
	return nil
}

// askMapped sends one Binding request and reads the answer.
func askMapped(conn io.ReadWriter) (netip.AddrPort, error) {
	var id [12]byte
	rand.Read(id[:])
	if _, err := conn.Write(AppendBinding(nil, id, 0)); err != nil {
		return netip.AddrPort{}, err
	}
	answer, err := readSTUN(conn)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return ParseMapped(answer, id)
}

// readSTUN reads one message. Over TCP only its own length says where it ends.
func readSTUN(r io.Reader) ([]byte, error) {
	b := make([]byte, headerBytes)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if b[0]>>6 != 0 || headerBytes+n > MaxSTUNBytes {
		return nil, errors.New("the answer is no STUN message")
	}
	b = append(b, make([]byte, n)...)
	_, err := io.ReadFull(r, b[headerBytes:])
	return b, err
}
