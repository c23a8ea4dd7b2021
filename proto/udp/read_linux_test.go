package udp_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"mesh/proto/udp"
)

const packetBytes = 1452 // quic-go's buffer

// cmsg returns a control message.
func cmsg(level, typ int32, body []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(body)))
	h := unix.Cmsghdr{Level: level, Type: typ}
	h.SetLen(unix.CmsgLen(len(body)))
	head, err := binary.Append(nil, binary.NativeEndian, h)
	if err != nil {
		panic(err)
	}
	copy(b, head)
	copy(b[unix.CmsgLen(0):], body)
	return b
}

func segments(size int) []byte {
	return cmsg(unix.IPPROTO_UDP, unix.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, uint16(size)))
}

// pattern returns n bytes that differ from those of other trains at the same offset.
func pattern(train, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8 + train*31)
	}
	return b
}

// train is one send of data, in segments if segment is not 0.
type train struct{ bytes, segment int }

func (tr train) datagrams(i int) (all [][]byte) {
	data := pattern(i, tr.bytes)
	if tr.segment == 0 {
		return [][]byte{data}
	}
	return slices.Collect(slices.Chunk(data, tr.segment))
}

func (tr train) send(t *testing.T, i int, from quic.OOBCapablePacketConn, to *net.UDPAddr, oob ...byte) {
	t.Helper()
	if tr.segment > 0 {
		oob = append(slices.Clip(oob), segments(tr.segment)...)
	}
	if _, _, err := from.WriteMsgUDP(pattern(i, tr.bytes), oob, to); err != nil {
		t.Fatalf("train %d: %v", i, err)
	}
}

// datagram is a datagram as ReadBatch returns it.
type datagram struct {
	data, oob []byte
	flags     int
	from      *net.UDPAddr
}

// read reads n datagrams the way quic-go does.
func read(t *testing.T, c *udp.Conn, n int) (all []datagram) {
	t.Helper()
	ms := make([]ipv4.Message, 8)
	for len(all) < n {
		for i := range ms {
			ms[i] = ipv4.Message{Buffers: [][]byte{make([]byte, packetBytes)}, OOB: make([]byte, 128)}
		}
		k, err := c.ReadBatch(ms, 0)
		if err != nil || k == 0 {
			t.Fatalf("after %d of %d datagrams: %d, %v", len(all), n, k, err)
		}
		for _, m := range ms[:k] {
			all = append(all, datagram{m.Buffers[0][:m.N], m.OOB[:m.NN], m.Flags, m.Addr.(*net.UDPAddr)})
		}
	}
	if len(all) > n {
		t.Fatalf("%d datagrams, want %d", len(all), n)
	}
	return all
}

func sender(t *testing.T, addr string) *net.UDPConn {
	t.Helper()
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc.(*net.UDPConn)
}

func TestDatagramsKeepTheirBounds(t *testing.T) {
	t.Parallel()
	trains := []train{
		{1, 0},
		{0, 0}, // empty
		{packetBytes, 0},
		{10 * 1200, 1200},   // whole segments
		{10*1200 + 7, 1200}, // a shorter last one
		{0, 0},
		{1201, 1200},
		{1200, 1200}, // a train of one
		{packetBytes - 1, 0},
		{40 * 1252, 1252},
		{64, 1}, // as many as may be
		{44*packetBytes + 1, packetBytes},
		{packetBytes + 1, 0}, // oversized
		{5000, 0},
		{3*2000 + 1500, 2000}, // every segment oversized
		{2, 0},
	}
	for _, addr := range loopbacks(t) {
		for _, gro := range []bool{true, false} {
			t.Run(fmt.Sprint(addr, " gro ", gro), func(t *testing.T) {
				c, from := listen(t, addr), sender(t, addr)
				if !gro {
					udp.DisableGRO(c)
				}
				var want [][]byte
				for i, tr := range trains {
					tr.send(t, i, from, addrOf(c))
					want = append(want, tr.datagrams(i)...)
				}
				for i, d := range read(t, c, len(want)) {
					w := want[i]
					truncated := len(w) > packetBytes
					if !slices.Equal(d.data, w[:min(len(w), packetBytes)]) {
						t.Fatalf("datagram %d: %d bytes differ from the %d sent", i, len(d.data), len(w))
					}
					if got := d.flags&unix.MSG_TRUNC != 0; got != truncated {
						t.Errorf("datagram %d of %d bytes: truncated is %v", i, len(w), got)
					}
					if d.from.String() != from.LocalAddr().String() {
						t.Errorf("datagram %d from %v, want %v", i, d.from, from.LocalAddr())
					}
				}
			})
		}
	}
}

func TestPlainReadsAreCut(t *testing.T) {
	t.Parallel()
	c, from := listen(t, "127.0.0.1:0"), sender(t, "127.0.0.1:0")
	train{5*1000 + 1, 1000}.send(t, 0, from, addrOf(c))
	want := train{5*1000 + 1, 1000}.datagrams(0)
	b := make([]byte, 9000)
	for i, read := range []func() (int, error){
		func() (int, error) { return c.Read(b) },
		func() (int, error) { n, _, err := c.ReadFrom(b); return n, err },
		func() (int, error) { n, _, err := c.ReadFromUDP(b); return n, err },
		func() (int, error) { n, _, err := c.ReadFromUDPAddrPort(b); return n, err },
		func() (int, error) { n, _, _, _, err := c.ReadMsgUDP(b, nil); return n, err },
		func() (int, error) { n, _, _, _, err := c.ReadMsgUDPAddrPort(b, nil); return n, err },
	} {
		if n, err := read(); err != nil || !slices.Equal(b[:n], want[i]) {
			t.Errorf("datagram %d: %d bytes, %v; want %d", i, n, err, len(want[i]))
		}
	}
	if _, err := c.ReadBatch(make([]ipv4.Message, 1), unix.MSG_PEEK); err == nil {
		t.Error("ReadBatch with flags: no error")
	}
}

func TestManySources(t *testing.T) {
	t.Parallel()
	for _, addr := range loopbacks(t) {
		t.Run(addr, func(t *testing.T) {
			const senders = 200 // more than addresses are kept
			c := listen(t, addr)
			left := map[string]int{}
			for i := range senders {
				from := sender(t, addr)
				train{3*100 + 1, 100}.send(t, i, from, addrOf(c))
				left[from.LocalAddr().String()] = i
			}
			for i, d := range read(t, c, 4*senders) {
				s, ok := left[d.from.String()]
				if !ok || !slices.Equal(d.data, train{3*100 + 1, 100}.datagrams(s)[i%4]) {
					t.Fatalf("datagram %d from %v: wrong data or source", i, d.from)
				}
			}
		})
	}
}

func TestControlMessagesStay(t *testing.T) {
	t.Parallel()
	both := append(loopbacks(t), ":0") // IPv4 on a dual-stack socket, where there is one
	for _, addr := range both {
		t.Run(addr, func(t *testing.T) {
			c := listen(t, addr)
			raw, err := c.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			raw.Control(func(fd uintptr) { // as quic-go does
				for _, o := range [][2]int{
					{unix.IPPROTO_IP, unix.IP_RECVTOS},
					{unix.IPPROTO_IP, unix.IP_PKTINFO},
					{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS},
					{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO},
				} {
					unix.SetsockoptInt(int(fd), o[0], o[1], 1)
				}
			})
			to := *addrOf(c)
			if to.IP.IsUnspecified() {
				to.IP = net.IPv4(127, 0, 0, 1)
			}
			from := sender(t, net.JoinHostPort(to.IP.String(), "0"))
			for ecn := range byte(4) {
				oob := cmsg(unix.IPPROTO_IP, unix.IP_TOS, []byte{ecn})
				if to.IP.To4() == nil {
					oob = cmsg(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, binary.NativeEndian.AppendUint32(nil, uint32(ecn)))
				}
				tr := train{20*1200 + 1, 1200}
				tr.send(t, int(ecn), from, &to, oob...)
				for i, d := range read(t, c, 21) {
					if !slices.Equal(d.data, tr.datagrams(int(ecn))[i]) || d.flags&unix.MSG_CTRUNC != 0 {
						t.Fatalf("datagram %d: wrong data, or flags %#x", i, d.flags)
					}
					checkControl(t, d.oob, ecn)
				}
			}
		})
	}
}

// checkControl checks that oob has the ECN bits and the destination, but no segment
// size, which does not apply to a single datagram.
func checkControl(t *testing.T, oob []byte, ecn byte) {
	t.Helper()
	list, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		t.Fatal(err)
	}
	var tos, info bool
	for _, m := range list {
		switch [2]int32{m.Header.Level, m.Header.Type} {
		case [2]int32{unix.IPPROTO_IP, unix.IP_TOS}, [2]int32{unix.IPPROTO_IPV6, unix.IPV6_TCLASS}:
			if tos = m.Data[0]&3 == ecn; !tos {
				t.Errorf("ECN %d, want %d", m.Data[0]&3, ecn)
			}
		case [2]int32{unix.IPPROTO_IP, unix.IP_PKTINFO}, [2]int32{unix.IPPROTO_IPV6, unix.IPV6_PKTINFO}:
			info = true
		case [2]int32{unix.IPPROTO_UDP, unix.UDP_GRO}:
			t.Error("the size of the segments is left")
		}
	}
	if !tos || !info {
		t.Errorf("ECN there: %v, destination there: %v", tos, info)
	}
}

func TestReadBatchDoesNotAllocate(t *testing.T) {
	c, from := listen(t, "127.0.0.1:0"), sender(t, "127.0.0.1:0")
	data, oob, to := pattern(0, 40*1200), segments(1200), addrOf(c).AddrPort()
	ms := make([]ipv4.Message, 8)
	for i := range ms {
		ms[i] = ipv4.Message{Buffers: [][]byte{make([]byte, packetBytes)}, OOB: make([]byte, 128)}
	}
	per := testing.AllocsPerRun(100, func() {
		if _, _, err := from.WriteMsgUDPAddrPort(data, oob, to); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < 40; {
			k, err := c.ReadBatch(ms, 0)
			if err != nil {
				t.Fatal(err)
			}
			n += k
		}
	})
	if per >= 1 {
		t.Errorf("%v allocations per 40 datagrams, want none", per)
	}
}

func TestEINVALStays(t *testing.T) {
	t.Parallel()
	c := listen(t, "127.0.0.1:0")
	// 200 segments are more than the kernel accepts: such a send must not be held.
	_, _, err := c.WriteMsgUDP(make([]byte, 200), segments(1), addrOf(c))
	if !errors.Is(err, unix.EINVAL) || c.Lost() != 0 {
		t.Errorf("too many segments: %v, %d lost; want EINVAL", err, c.Lost())
	}
}

func FuzzControl(f *testing.F) {
	f.Add([]byte{})
	f.Add(cmsg(unix.IPPROTO_UDP, unix.UDP_GRO, []byte{1, 2, 0, 0}))
	f.Add(append(cmsg(unix.IPPROTO_IP, unix.IP_TOS, []byte{3}), cmsg(unix.IPPROTO_UDP, unix.UDP_GRO, []byte{1})...))
	f.Add(cmsg(unix.IPPROTO_IP, unix.IP_RECVERR, []byte{111, 0, 0, 0, 2, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0}))
	f.Fuzz(func(t *testing.T, control []byte) {
		udp.PortUnreachable(control)
		others, _ := udp.TakeSegment(slices.Clone(control))
		if len(others) > len(control) {
			t.Errorf("%d bytes of %d", len(others), len(control))
		}
		if again, segment := udp.TakeSegment(slices.Clone(others)); segment != 0 || !slices.Equal(again, others) {
			t.Errorf("%x: a segment size is left, or more is taken", others)
		}
	})
}
