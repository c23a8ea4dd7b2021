package nat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/pion/stun/v4"
)

const (
	headerBytes = 20
	magicCookie = 0x2112A442

	// MaxSTUNBytes bounds a STUN message that this package reads or writes: what fits
	// in one Ethernet frame.
	MaxSTUNBytes = 1500

	// attrFill pads a request. PADDING (RFC 5780) must not: a server that does not
	// know PADDING refuses the request. An unassigned attribute of the optional range
	// is ignored by each server.
	attrFill stun.AttrType = 0xC74D

	// flagChangeIP and flagChangePort are those of CHANGE-REQUEST (RFC 5780, 7.2).
	flagChangeIP   = 4
	flagChangePort = 2
)

// IsSTUN reports whether b has the form of one whole STUN message. It does not look
// at the attributes.
func IsSTUN(b []byte) bool {
	return len(b) >= headerBytes && b[0]>>6 == 0 &&
		binary.BigEndian.Uint32(b[4:]) == magicCookie &&
		len(b)%4 == 0 && headerBytes+int(binary.BigEndian.Uint16(b[2:])) == len(b)
}

// AppendBinding appends a Binding request to a server. It is as long as padTo, rounded
// up to a multiple of 4 and limited to MaxSTUNBytes; without padding it has 20 bytes.
// No answer is longer than a request of 44 bytes.
func AppendBinding(dst []byte, id [12]byte, padTo int) []byte {
	return appendBinding(dst, id, padTo, 0)
}

// AppendBindingChangePort appends a Binding request that a server shall answer from
// its other port: CHANGE-REQUEST of RFC 5780. It has 28 bytes, or padTo as for
// [AppendBinding].
func AppendBindingChangePort(dst []byte, id [12]byte, padTo int) []byte {
	return appendBinding(dst, id, padTo, flagChangePort)
}

func appendBinding(dst []byte, id [12]byte, padTo int, change uint32) []byte {
	m := message(stun.BindingRequest, id)
	if change != 0 {
		m.Add(stun.AttrChangeRequest, binary.BigEndian.AppendUint32(nil, change))
	}
	if fill := min(padTo, MaxSTUNBytes) - len(m.Raw); fill > 0 {
		m.Add(attrFill, make([]byte, max(0, fill-4)))
	}
	return append(dst, m.Raw...)
}

func message(t stun.MessageType, id [12]byte) *stun.Message {
	m := stun.New()
	m.Type, m.TransactionID = t, id
	m.WriteHeader()
	return m
}

// parse reads one whole message. It copies b.
func parse(b []byte) (*stun.Message, error) {
	if len(b) > MaxSTUNBytes || !IsSTUN(b) {
		return nil, errors.New("not a STUN message")
	}
	m := stun.New()
	if err := stun.Decode(b, m); err != nil {
		return nil, fmt.Errorf("STUN message: %w", err)
	}
	return m, nil
}

// ParseMapped reads a server's answer to the Binding request of that id. It returns
// the address from which the server received the request, IPv4 addresses as such.
func ParseMapped(b []byte, id [12]byte) (netip.AddrPort, error) {
	m, err := parse(b)
	switch {
	case err != nil:
		return netip.AddrPort{}, err
	case m.TransactionID != id:
		return netip.AddrPort{}, errors.New("STUN answer: to another request")
	case m.Type == stun.BindingError:
		var code stun.ErrorCodeAttribute
		if err := code.GetFrom(m); err != nil {
			return netip.AddrPort{}, errors.New("STUN answer: an error without a code")
		}
		return netip.AddrPort{}, fmt.Errorf("STUN answer: error %d", code.Code)
	case m.Type != stun.BindingSuccess:
		return netip.AddrPort{}, errors.New("STUN answer: no Binding response")
	}
	return mapped(m)
}

// mapped returns XOR-MAPPED-ADDRESS. The library would take a short IP address.
func mapped(m *stun.Message) (netip.AddrPort, error) {
	v, err := m.Get(stun.AttrXORMappedAddress)
	if err != nil {
		return netip.AddrPort{}, errors.New("STUN answer: no XOR-MAPPED-ADDRESS")
	}
	if len(v) != 8 && len(v) != 20 || int(v[1]) != 1+len(v)/20 {
		return netip.AddrPort{}, errors.New("STUN answer: bad XOR-MAPPED-ADDRESS")
	}
	var x stun.XORMappedAddress
	if err := x.GetFrom(m); err != nil {
		return netip.AddrPort{}, fmt.Errorf("STUN answer: %w", err)
	}
	ip, _ := netip.AddrFromSlice(x.IP)
	ip = ip.Unmap()
	if !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() || x.Port == 0 {
		return netip.AddrPort{}, errors.New("STUN answer: no address of a node in XOR-MAPPED-ADDRESS")
	}
	return netip.AddrPortFrom(ip, uint16(x.Port)), nil
}

// ChangePort reports whether the Binding request wants its answer from the server's
// other port.
func ChangePort(request []byte) bool {
	m, err := parse(request)
	return err == nil && change(m)&flagChangePort != 0
}

// change returns the flags of CHANGE-REQUEST.
func change(m *stun.Message) uint32 {
	v, err := m.Get(stun.AttrChangeRequest)
	if err != nil || len(v) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(v)
}

// Answer appends a server's answer to a Binding request that came from that address,
// and reports whether there is one. The answer has at most 44 bytes and at most 2.2
// times those of the request, so the server is of no use to flood somebody with. A
// request for what the server can not do is answered with error 420.
func Answer(dst, request []byte, from netip.AddrPort) ([]byte, bool) {
	m, err := parse(request)
	if err != nil || m.Type != stun.BindingRequest || !from.IsValid() {
		return dst, false
	}
	if unknown := unknownAttributes(m); len(unknown) > 0 {
		return refuse(dst, request, m.TransactionID, unknown)
	}
	a := message(stun.BindingSuccess, m.TransactionID)
	x := stun.XORMappedAddress{IP: from.Addr().Unmap().AsSlice(), Port: int(from.Port())}
	if err := x.AddTo(a); err != nil {
		return dst, false
	}
	return append(dst, a.Raw...), true
}

// refuse appends error 420 with as many of the unknown attributes as the limit of an
// answer leaves room for.
func refuse(dst, request []byte, id [12]byte, unknown stun.UnknownAttributes) ([]byte, bool) {
	a := message(stun.BindingError, id)
	code := stun.ErrorCodeAttribute{Code: stun.CodeUnknownAttribute}
	if err := code.AddTo(a); err != nil {
		return dst, false
	}
	room := (min(len(request)*11/5, 44) - len(a.Raw) - 4) / 4 * 2
	if err := unknown[:min(len(unknown), room)].AddTo(a); err != nil {
		return dst, false
	}
	return append(dst, a.Raw...), true
}

// refuseChange is Answer for a request for the other port of a server that has only one.
func refuseChange(request []byte) ([]byte, bool) {
	m, err := parse(request)
	if err != nil || m.Type != stun.BindingRequest {
		return nil, false
	}
	return refuse(nil, request, m.TransactionID, stun.UnknownAttributes{stun.AttrChangeRequest})
}

// unknownAttributes returns what a server must understand to answer (RFC 8489, 6.3.1)
// and this one does not. Credentials are none of them: this server asks for none.
func unknownAttributes(m *stun.Message) (unknown stun.UnknownAttributes) {
	known := []stun.AttrType{
		stun.AttrChangeRequest, stun.AttrUsername, stun.AttrUserhash, stun.AttrRealm, stun.AttrNonce,
		stun.AttrMessageIntegrity, stun.AttrMessageIntegritySHA256, stun.AttrPasswordAlgorithm,
	}
	for _, a := range m.Attributes {
		bad := !slices.Contains(known, a.Type) || a.Type == stun.AttrChangeRequest && change(m)&flagChangeIP != 0
		if a.Type.Required() && bad && !slices.Contains(unknown, a.Type) {
			unknown = append(unknown, a.Type)
		}
	}
	return unknown
}
