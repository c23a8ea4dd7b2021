package udp_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"mesh/proto/udp"
)

// fullBatch is the size of a batch that quic-go packs into 20 KiB.
var fullBatch = train{14 * packetBytes, packetBytes}

// However batches are gathered, each datagram arrives once, in order and unchanged.
func TestGather(t *testing.T) {
	t.Parallel()
	const seg = packetBytes
	full := fullBatch
	for _, trains := range [][]train{
		{full},
		{full, full},
		{full, full, full, full}, // one more than one send has room for
		{full, full, full, full, full, full, full, full, full},
		{full, full, {1, 0}},                         // behind it what is in no batch
		{full, full, {1, seg}},                       // or what is less than a segment
		{full, full, {3*seg + 1, seg}, full, {0, 0}}, // or ends with less
		{full, full, {seg, seg}, full, full},
		{full, full, {14 * 1252, 1252}, {14 * 1252, 1252}, full}, // segments of another size
		{full, full, {14*seg - 1, seg}, {14*seg - 1, seg}},       // full but for a byte
		{full, full, {45 * seg, seg}, full},                      // more than goes along
		{{16 << 10, 256}, {16 << 10, 256}, {16 << 10, 256}},      // as many segments as may be
		{{16 << 10, 512}, {16 << 10, 512}, {16 << 10, 512}},
		{{16<<10 - 1024, 1024}, {16<<10 - 1024, 1024}},
	} {
		for _, addr := range loopbacks(t) {
			t.Run(fmt.Sprint(trains, addr), func(t *testing.T) {
				t.Parallel()
				c, from := listen(t, addr), listen(t, addr)
				var want [][]byte
				for i, tr := range trains {
					tr.send(t, i, from, addrOf(c))
					want = append(want, tr.datagrams(i)...)
				}
				for i, d := range read(t, c, len(want)) {
					if !bytes.Equal(d.data, want[i]) {
						t.Fatalf("datagram %d of %d bytes is not the one of %d that was sent", i, len(d.data), len(want[i]))
					}
				}
			})
		}
	}
}

// Only full batches wait, and only for batches that can be sent together with them.
func TestHeld(t *testing.T) {
	t.Parallel()
	full, size := fullBatch, fullBatch.bytes
	c, from := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	udp.HoldForever(from)
	sent := 0
	for i, step := range []struct {
		send train
		to   *udp.Conn
		held int // behind it
	}{
		{full, c, 0}, // has yet to show that the kernel takes it
		{full, c, size},
		{full, c, 2 * size},
		{full, c, 0}, // there is no room for a fourth
		{full, c, size},
		{train{packetBytes, packetBytes}, c, 0},
		{train{packetBytes, packetBytes}, c, 0},
		{full, c, size},
		{train{1, 0}, c, 0},
		{full, c, size},
		{full, from, size}, // for someone else
		{full, c, size},
		{train{0, 0}, c, 0},
		{train{45 * packetBytes, packetBytes}, c, 0},
		{train{size - 1, packetBytes}, c, 0},
	} {
		step.send.send(t, i, from, addrOf(step.to))
		if step.to == c {
			sent += len(step.send.datagrams(i))
		}
		if held := udp.Held(from); held != step.held {
			t.Errorf("after send %d: %d bytes held, want %d", i, held, step.held)
		}
	}
	read(t, c, sent)
}

// A held batch that the kernel refuses counts as lost, and the next one returns the
// error.
func TestHeldError(t *testing.T) {
	t.Parallel()
	c := listen(t, "127.0.0.1:0")
	udp.HoldForever(c)
	fullBatch.send(t, 0, c, addrOf(c))
	data := pattern(1, fullBatch.bytes)
	bad := append(segments(fullBatch.segment), cmsg(unix.IPPROTO_IP, 12345, nil)...)
	if _, _, err := c.WriteMsgUDP(data, bad, addrOf(c)); err != nil || c.Lost() != 0 {
		t.Errorf("held: %v, %d lost; want it held", err, c.Lost())
	}
	_, _, err := c.WriteMsgUDP(data, bad, addrOf(c))
	if err != nil || c.Lost() != 0 {
		t.Errorf("held too: %v, %d lost; want it held", err, c.Lost())
	}
	if _, _, err := c.WriteMsgUDP([]byte("x"), nil, addrOf(c)); err != nil || c.Lost() != 1 {
		t.Errorf("behind it: %v, %d lost; want 1", err, c.Lost())
	}
	if _, _, err := c.WriteMsgUDP(data, bad, addrOf(c)); !errors.Is(err, unix.EINVAL) {
		t.Errorf("the next one: %v, want EINVAL", err)
	}
}

func TestCloseWhileHeld(t *testing.T) {
	t.Parallel()
	c := listen(t, "127.0.0.1:0")
	for range 3 {
		fullBatch.send(t, 0, c, addrOf(c))
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for range 3 {
		_, _, err := c.WriteMsgUDP(pattern(0, fullBatch.bytes), segments(fullBatch.segment), addrOf(c))
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("send on a closed socket: %v", err)
		}
	}
}
