package attacker

import (
	"bytes"
	"net"
	"time"
)

// pathDelay is how long a packet takes over a far path.
const pathDelay = 20 * time.Millisecond

// delayed is a UDP socket with a delay of what it sends.
type delayed struct {
	net.PacketConn
	packets chan packet
}

type packet struct {
	due  time.Time
	data []byte
	to   net.Addr
}

func newDelayed(c net.PacketConn) delayed {
	d := delayed{c, make(chan packet, 10000)}
	go func() {
		for p := range d.packets { // until the process ends
			<-time.After(time.Until(p.due))
			_, _ = d.PacketConn.WriteTo(p.data, p.to) // as if it were lost
		}
	}()
	return d
}

// WriteTo implements [net.PacketConn].
func (d delayed) WriteTo(b []byte, to net.Addr) (int, error) {
	select {
	case d.packets <- packet{time.Now().Add(pathDelay), bytes.Clone(b), to}:
	default: // too much for the path
	}
	return len(b), nil
}
