package nat

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mesh/proto/candidate"
)

var routers atomic.Int32

// routerAt returns the place of a router that a test plays: an address of the loopback
// interface, which only Linux has more of without further ado.
func routerAt(t *testing.T) place {
	t.Helper()
	pid := os.Getpid()
	at := netip.AddrFrom4([4]byte{127, byte(pid >> 8), byte(pid), byte(1 + routers.Add(1))})
	l, err := net.ListenPacket("udp4", netip.AddrPortFrom(at, 0).String())
	if err != nil {
		t.Skipf("no second loopback address: %v", err)
	}
	l.Close()
	return place{at: at, local: netip.MustParseAddr("127.0.0.1")}
}

// playNATPMP answers NAT-PMP requests at a place.
func playNATPMP(t *testing.T, p place, answer func(request []byte) []byte) {
	t.Helper()
	conn, err := net.ListenPacket("udp4", netip.AddrPortFrom(p.at, natPMPPort).String())
	if err != nil {
		t.Skipf("the port of NAT-PMP is taken: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 100)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if a := answer(b[:n]); a != nil {
				_, _ = conn.WriteTo(a, from)
			}
		}
	}()
}

// goodNATPMP forwards each port as the one above it, for 100 s.
func goodNATPMP(request []byte) []byte {
	answer := []byte{0, request[1] | 0x80, 0, 0, 0, 0, 0, 9}
	if request[1] == 0 {
		return append(answer, external.AsSlice()...)
	}
	port := binary.BigEndian.Uint16(request[4:])
	answer = binary.BigEndian.AppendUint16(answer, port)
	answer = binary.BigEndian.AppendUint16(answer, port+1)
	return binary.BigEndian.AppendUint32(answer, 100)
}

func TestNATPMP(t *testing.T) {
	t.Parallel()
	p := routerAt(t)
	var last atomic.Value
	playNATPMP(t, p, func(request []byte) []byte {
		last.Store(fmt.Sprintf("%x", request))
		return goodNATPMP(request)
	})
	r := newNATPMP(p, true)
	if got, err := r.external(t.Context()); got != external || err != nil {
		t.Errorf("got external address %v, %v, want %v", got, err, external)
	}
	for _, proto := range []candidate.Proto{candidate.UDP, candidate.TCP} {
		granted, lease, err := r.add(t.Context(), proto, 4600)
		if granted != 4601 || lease != 100*time.Second || err != nil {
			t.Errorf("%s: got port %d for %v, %v, want 4601 for 100 s", proto, granted, lease, err)
		}
		op := map[candidate.Proto]string{candidate.UDP: "01", candidate.TCP: "02"}[proto]
		if got, want := last.Load(), "00"+op+"0000"+"11f8"+"11f8"+"00001c20"; got != want {
			t.Errorf("%s: got request %s, want %s", proto, got, want)
		}
		r.remove(t.Context(), proto, 4600, 4601)
		if got, want := last.Load(), "00"+op+"0000"+"11f8"+"0000"+"00000000"; got != want {
			t.Errorf("%s: got request %s to remove it, want %s", proto, got, want)
		}
	}
}

func TestNATPMPFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer func([]byte) []byte
		want   string
	}{
		{"closed port", nil, "NAT-PMP: the router does not answer"},
		{"silent", func([]byte) []byte { return nil }, "NAT-PMP: the router does not answer"},
		{"refuses", func(r []byte) []byte { return []byte{0, r[1] | 0x80, 0, 2, 0, 0, 0, 9} }, "the router refuses (NAT-PMP 2)"},
		{"speaks PCP", func(r []byte) []byte { return []byte{2, r[1] | 0x80, 0, 1, 0, 0, 0, 9} }, "PCP"},
		{"says one byte", func([]byte) []byte { return []byte{0} }, "NAT-PMP: "},
		{"says nothing", func([]byte) []byte { return []byte{} }, "NAT-PMP: "},
		{"says too much", func(r []byte) []byte { return append([]byte{0, r[1] | 0x80, 0, 0}, make([]byte, 1000)...) }, "NAT-PMP: "},
		{"answers another question", func(r []byte) []byte { return append([]byte{0, r[1] ^ 0x83, 0, 0}, make([]byte, 12)...) }, "NAT-PMP: "},
		{"forwards another port", func(r []byte) []byte {
			a := goodNATPMP(r)
			a[9]++
			return a
		}, "another port than 4600"},
		{"forwards port 0", func(r []byte) []byte {
			a := goodNATPMP(r)
			a[10], a[11] = 0, 0
			return a
		}, "another port than 4600"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := routerAt(t)
			if tt.answer != nil {
				playNATPMP(t, p, tt.answer)
			}
			granted, _, err := newNATPMP(p, true).add(t.Context(), candidate.UDP, 4600)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got port %d, %v, want an error with %q", granted, err, tt.want)
			}
		})
	}
}

// A listener for one peer asks once, waits for a quarter of a second, and searches no router by
// UPnP. One that stays asks again, and searches.
func TestPortMapQuick(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		quick       bool
		ways        int
		most, least int // requests in the first 600 ms
	}{{true, 1, 1, 1}, {false, 2, 8, 2}} {
		t.Run(fmt.Sprintf("quick %v", tt.quick), func(t *testing.T) {
			t.Parallel()
			p := routerAt(t)
			var asked atomic.Int32
			playNATPMP(t, p, func([]byte) []byte { asked.Add(1); return nil })
			search, err := net.ListenPacket("udp4", netip.AddrPortFrom(p.at, 0).String())
			if err != nil {
				t.Fatal(err)
			}
			defer search.Close()
			p.ssdp = netip.MustParseAddrPort(search.LocalAddr().String())
			ways := p.ways(tt.quick)
			if len(ways) != tt.ways {
				t.Fatalf("got %d ways to the router, want %d", len(ways), tt.ways)
			}
			r, err := ways[0](t.Context())
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			_, err = r.external(t.Context())
			took := time.Since(begun)
			if err == nil {
				t.Error("a router that is silent has an external address")
			}
			if got := int(asked.Load()); got < tt.least || got > tt.most {
				t.Errorf("got %d requests in %v, want %d to %d", got, took, tt.least, tt.most)
			}
			if took < natPMPQuick || tt.quick && took > 4*natPMPQuick {
				t.Errorf("a silent router was given up after %v, want %v", took, natPMPQuick)
			}
			_ = search.SetReadDeadline(time.Now())
			if _, from, err := search.ReadFrom(make([]byte, 2000)); err == nil {
				t.Errorf("a search by UPnP came from %v", from)
			}
		})
	}
}
