package nat_test

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"

	"mesh/proto/nat"
)

var id = [12]byte{0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae}

func addrs() []netip.AddrPort {
	return []netip.AddrPort{
		netip.MustParseAddrPort("192.0.2.1:32853"),
		netip.MustParseAddrPort("[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
		netip.MustParseAddrPort("127.0.0.1:1"),
		netip.MustParseAddrPort("255.255.255.255:65535"),
	}
}

func TestBinding(t *testing.T) {
	t.Parallel()
	for _, padTo := range []int{0, 20, 21, 22, 24, 44, 100, 1280, 1400, 1452, 1500, 1 << 20} {
		for _, from := range addrs() {
			request := nat.AppendBinding(nil, id, padTo)
			want := max(20, min((padTo+3)/4*4, nat.MaxSTUNBytes))
			if !nat.IsSTUN(request) || len(request) != want {
				t.Errorf("padded to %d: got %d bytes, STUN %v, want %d", padTo, len(request), nat.IsSTUN(request), want)
			}
			answer, ok := nat.Answer(nil, request, from)
			got, err := nat.ParseMapped(answer, id)
			if !ok || err != nil || got != from {
				t.Errorf("padded to %d: got %v, %v of %x, want %v", padTo, got, err, answer, from)
			}
			if len(answer)*10 > len(request)*22 {
				t.Errorf("padded to %d: got an answer of %d bytes to %d", padTo, len(answer), len(request))
			}
		}
	}
}

// An IPv4 address that a socket of both families names as an IPv6 one is told as IPv4.
func TestAnswerUnmaps(t *testing.T) {
	t.Parallel()
	from := netip.MustParseAddrPort("[::ffff:192.0.2.1]:7")
	answer, _ := nat.Answer([]byte("before"), nat.AppendBinding(nil, id, 0), from)
	answer, ok := bytes.CutPrefix(answer, []byte("before"))
	got, err := nat.ParseMapped(answer, id)
	if want := netip.MustParseAddrPort("192.0.2.1:7"); !ok || err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

// The sample responses of RFC 5769, 2.2 and 2.3.
func TestParseMappedOfRFC5769(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96":                         "192.0.2.1:32853",
		"010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c": "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := nat.ParseMapped(b, id)
		if err != nil || got.String() != want {
			t.Errorf("got %v, %v, want %s", got, err, want)
		}
	}
}

func TestParseMappedRefuses(t *testing.T) {
	t.Parallel()
	good, _ := nat.Answer(nil, nat.AppendBinding(nil, id, 0), addrs()[0])
	for name, edit := range map[string]func(b []byte) []byte{
		"nothing":            func([]byte) []byte { return nil },
		"request":            func([]byte) []byte { return nat.AppendBinding(nil, id, 0) },
		"another id":         func(b []byte) []byte { b[19]++; return b },
		"another cookie":     func(b []byte) []byte { b[4]++; return b },
		"first bits":         func(b []byte) []byte { b[0] |= 0x40; return b },
		"cut":                func(b []byte) []byte { return b[:len(b)-1] },
		"more behind it":     func(b []byte) []byte { return append(b, 0, 0, 0, 0) },
		"no attribute":       func(b []byte) []byte { b[3] = 0; return b[:20] },
		"attribute too long": func(b []byte) []byte { b[23]++; return b },
		"short address":      func(b []byte) []byte { b[23] = 5; return b },
		"another family":     func(b []byte) []byte { b[25] = 2; return b },
		"port 0":             func(b []byte) []byte { b[26], b[27] = 0x21, 0x12; return b },
		"address 0.0.0.0":    func(b []byte) []byte { copy(b[28:], []byte{0x21, 0x12, 0xa4, 0x42}); return b },
		"multicast":          func(b []byte) []byte { copy(b[28:], []byte{0x21 ^ 224, 0x12, 0xa4, 0x43}); return b },
		"indication":         func(b []byte) []byte { b[0], b[1] = 0, 0x11; return b },
		"error":              func(b []byte) []byte { b[0], b[1] = 1, 0x11; return b },
		"another method":     func(b []byte) []byte { b[0], b[1] = 1, 0x03; return b },
	} {
		if got, err := nat.ParseMapped(edit(bytes.Clone(good)), id); err == nil {
			t.Errorf("%s: got %v, want an error", name, got)
		}
	}
}

func TestChangePort(t *testing.T) {
	t.Parallel()
	request := nat.AppendBindingChangePort(nil, id, 0)
	if len(request) != 28 || !nat.ChangePort(request) || nat.ChangePort(nat.AppendBinding(nil, id, 44)) {
		t.Errorf("got %x, change of the port %v, want a request of 28 bytes that asks for it", request, nat.ChangePort(request))
	}
	if answer, ok := nat.Answer(nil, request, addrs()[0]); !ok {
		t.Errorf("got %x, %v, want an answer", answer, ok)
	}
	request[27] |= 4 // another IP address too, which a hub does not have
	answer, ok := nat.Answer(nil, request, addrs()[0])
	if got, err := nat.ParseMapped(answer, id); !ok || err == nil || err.Error() != "STUN answer: error 420" {
		t.Errorf("got %v, %v, want error 420", got, err)
	}
}

// Each request with attributes that the server does not know gets error 420, no
// longer than 2.2 times the request.
func TestAnswerUnknownAttributes(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 40; n++ {
		request := nat.AppendBinding(nil, id, 0)
		for i := range n {
			request = append(request, 0, 0x40+byte(i), 0, 0)
		}
		request[3] = byte(4 * n)
		answer, ok := nat.Answer(nil, request, addrs()[0])
		got, err := nat.ParseMapped(answer, id)
		if !ok || err == nil || err.Error() != "STUN answer: error 420" {
			t.Errorf("%d attributes: got %v, %v of %x, want error 420", n, got, err, answer)
		}
		if len(answer)*10 > len(request)*22 || len(answer) > 44 {
			t.Errorf("%d attributes: got an answer of %d bytes to %d", n, len(answer), len(request))
		}
	}
}

func TestAnswerIgnores(t *testing.T) {
	t.Parallel()
	success, _ := nat.Answer(nil, nat.AppendBinding(nil, id, 0), addrs()[0])
	indication := nat.AppendBinding(nil, id, 0)
	indication[1] = 0x11
	for name, b := range map[string][]byte{
		"nothing": nil, "a response": success, "an indication": indication,
		"a QUIC packet": append([]byte{0xc0}, nat.AppendBinding(nil, id, 0)[1:]...),
	} {
		if got, ok := nat.Answer(nil, b, addrs()[0]); ok || len(got) != 0 {
			t.Errorf("%s: got %x, want no answer", name, got)
		}
	}
}

func FuzzSTUN(f *testing.F) {
	f.Add(nat.AppendBinding(nil, id, 44))
	f.Add(nat.AppendBindingChangePort(nil, id, 0))
	for _, from := range addrs() {
		answer, _ := nat.Answer(nil, nat.AppendBinding(nil, id, 0), from)
		f.Add(answer)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		from := addrs()[1]
		answer, ok := nat.Answer(nil, b, from)
		if ok && (!nat.IsSTUN(b) || !nat.IsSTUN(answer) || len(answer)*10 > len(b)*22) {
			t.Errorf("got %x to %x", answer, b)
		}
		if nat.ChangePort(b) && !nat.IsSTUN(b) {
			t.Errorf("%x is no STUN message but asks for another port", b)
		}
		got, err := nat.ParseMapped(b, id)
		if err == nil && (!nat.IsSTUN(b) || !bytes.Equal(b[8:20], id[:]) || got.Port() == 0 || got.Addr().Is4In6()) {
			t.Errorf("got %v of %x", got, b)
		}
		if !bytes.Equal(b, before) {
			t.Errorf("got %x, want %x as it was", b, before)
		}
	})
}
