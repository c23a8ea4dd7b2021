package wire

import "mesh/proto"

// The frames of two nodes that pair, which are the bytes of the two transfers of a link of
// kind [KindPair]. See "Pairing" in package proto for their order.
const (
	TypePairName   Type = 0x40
	TypePairAgreed Type = 0x41
	TypePairStored Type = 0x42
)

// PairName is PAIR_NAME, the first frame of each end.
type PairName struct {
	Name string `json:"name,omitempty"` // what the end calls itself; "" for nothing
}

// PairAgreed is PAIR_AGREED: the user of this end wants the pairing.
type PairAgreed struct {
	// Addrs are the HOST:PORTs at which the end waits for good. The reader checks them
	// before it dials one.
	Addrs []string `json:"addrs,omitempty"`
}

// PairStored is PAIR_STORED: this end has stored the other one.
type PairStored struct{}

// Type implements [Message].
func (*PairName) Type() Type { return TypePairName }

// Type implements [Message].
func (*PairAgreed) Type() Type { return TypePairAgreed }

// Type implements [Message].
func (*PairStored) Type() Type { return TypePairStored }

func (m *PairName) check() error { return checkText(m.Name, proto.MaxPairNameBytes) }

func (m *PairAgreed) check() error {
	if len(m.Addrs) > proto.MaxPairAddrs {
		return errRange
	}
	for _, addr := range m.Addrs {
		if addr == "" {
			return errRange
		}
		if err := checkText(addr, proto.MaxPairAddrBytes); err != nil {
			return err
		}
	}
	return nil
}

func (m *PairStored) check() error { return nil }
