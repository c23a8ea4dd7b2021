package hub

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
)

// VoucherPrefix begins the text of a voucher.
const VoucherPrefix = "mv1"

const (
	voucherCheckBytes = 4
	voucherHeadBytes  = 1 + 8 + 3*32 + 8 + 1
	secondLinkBytes   = 32 + SignatureBytes + 8 + SignatureBytes
	maxVoucherText    = 512 // characters of a voucher without a second link
)

// VoucherKind is what a voucher says about its holder.
type VoucherKind uint8

// The kinds. None of them stands for another one.
const (
	// VoucherName says that the holder is the node with the name in Text.
	VoucherName VoucherKind = 1
	// VoucherRoom says that the holder belongs to the room in Text.
	VoucherRoom VoucherKind = 2
	// VoucherAdmit makes the holder a member of hubs that trust the issuer. It proves
	// nothing to peers.
	VoucherAdmit VoucherKind = 3
)

// String returns the word for the kind.
func (k VoucherKind) String() string {
	switch k {
	case VoucherName:
		return "name"
	case VoucherRoom:
		return "room"
	case VoucherAdmit:
		return "admit"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Voucher is the signed word of an issuer about a node. Its bytes, whose text is base32:
//
//	kind u8 | id 8 | issuer 32 | subject 32 | hub 32 | expires u64 | u8 length, text |
//	signature 64 | second link or nothing | checksum 4
//
// Each voucher has one valid text. [ParseVoucher] checks the form alone;
// [Voucher.Check] checks the signatures.
type Voucher struct {
	Kind VoucherKind
	// ID is random. It revokes the voucher, as that of a token does.
	ID      token.ID
	Issuer  identity.ID
	Subject identity.ID
	// Hub is the hub at which alone the voucher holds, zero for any.
	Hub identity.ID
	// Expires is in whole seconds and never zero.
	Expires time.Time
	// Text is a name or a room, and empty for [VoucherAdmit].
	Text string
	// Sig is the issuer's signature of all before.
	Sig []byte
	// Link, if it is set, makes another node the holder: the subject is the public half
	// of an invite's seed then.
	Link *SecondLink
}

// SecondLink hands a voucher for the seed of an invite on to the node that has used the
// invite. The seed alone can make one at any time, so it holds only with the hub's word
// that the node has joined:
//
//	node 32 | signature by the seed 64 | until u64 | signature by the hub 64
type SecondLink struct {
	Node identity.ID
	Sig  []byte // by the seed
	// Joined is the hub's word.
	Joined Joined
}

// Joined is the word of a hub that a node has joined with an invite. Until is when the
// membership ends, in whole seconds since 1970.
type Joined struct {
	Until uint64 `json:"until"`
	Sig   []byte `json:"sig"`
}

// NewVoucher returns a voucher that the issuer signs. The caller sets Kind, Subject, Hub,
// Expires and Text of v.
func NewVoucher(issuer *identity.Key, v Voucher) (Voucher, error) {
	_, _ = rand.Read(v.ID[:]) // never fails (crypto/rand)
	v.Issuer, v.Link = issuer.ID(), nil
	v.Expires = time.Unix(v.Expires.Unix(), 0)
	if err := v.check(); err != nil {
		return Voucher{}, err
	}
	v.Sig = issuer.Sign(v.signedText())
	return v, nil
}

// Holder returns the node that the voucher is about.
func (v Voucher) Holder() identity.ID {
	if v.Link != nil {
		return v.Link.Node
	}
	return v.Subject
}

// Ends returns when the voucher ends, with its second link.
func (v Voucher) Ends() time.Time {
	if v.Link != nil {
		if until := time.Unix(int64(v.Link.Joined.Until), 0); until.Before(v.Expires) {
			return until
		}
	}
	return v.Expires
}

// Encode returns the text.
func (v Voucher) Encode() (string, error) {
	if err := v.check(); err != nil {
		return "", err
	}
	b := append(v.head(), v.Sig...)
	if l := v.Link; l != nil {
		b = append(append(b, l.Node[:]...), l.Sig...)
		b = append(binary.BigEndian.AppendUint64(b, l.Joined.Until), l.Joined.Sig...)
	}
	return VoucherPrefix + base32Text.EncodeToString(append(b, voucherCheck(b)...)), nil
}

// head returns the bytes before the signature.
func (v Voucher) head() []byte {
	b := append([]byte{byte(v.Kind)}, v.ID[:]...)
	b = append(append(append(b, v.Issuer[:]...), v.Subject[:]...), v.Hub[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(v.Expires.Unix()))
	return append(append(b, byte(len(v.Text))), v.Text...)
}

func voucherCheck(b []byte) []byte {
	sum := sha256.Sum256(append([]byte(VoucherPrefix), b...))
	return sum[:voucherCheckBytes]
}

// check returns an error unless each field has its form. It checks no signature.
func (v Voucher) check() error {
	var err error
	switch v.Kind {
	case VoucherName:
		err = CheckName(v.Text)
	case VoucherRoom:
		err = CheckRoom(v.Text)
	case VoucherAdmit:
		if v.Text != "" {
			err = errors.New("one that admits has no text")
		}
	default:
		err = errors.New("it is of a kind that this version does not know")
	}
	zero := identity.ID{}
	switch {
	case err != nil:
		return err
	case v.Issuer == zero || v.Subject == zero:
		return errors.New("it names no issuer or no node")
	case v.Expires.Unix() <= 0 || v.Expires.Unix() > maxExpires:
		return errors.New("its end is no date")
	case v.Link == nil:
		return nil
	case v.Hub == zero || v.Link.Node == zero:
		return errors.New("its second link names no hub or no node")
	case v.Link.Joined.Until == 0 || v.Link.Joined.Until > maxExpires:
		return errors.New("the end of its second link is no date")
	}
	return nil
}

// ParseVoucher parses the result of [Voucher.Encode]. The error, with code
// [proto.Usage], does not repeat the text.
func ParseVoucher(text string) (Voucher, error) {
	v, err := parseVoucher(text)
	if err != nil {
		return Voucher{}, proto.Errorf(proto.Usage, "not a voucher: %w", err)
	}
	return v, nil
}

func parseVoucher(text string) (Voucher, error) {
	if !strings.HasPrefix(text, VoucherPrefix) {
		return Voucher{}, errors.New("it does not begin with " + VoucherPrefix)
	}
	if len(text) > MaxVoucherBytes {
		return Voucher{}, errors.New("it is too long")
	}
	b, err := base32Text.DecodeString(text[len(VoucherPrefix):])
	if err != nil || len(b) < voucherHeadBytes+SignatureBytes+voucherCheckBytes {
		return Voucher{}, errors.New("characters are wrong or missing")
	}
	b, check := b[:len(b)-voucherCheckBytes], b[len(b)-voucherCheckBytes:]
	if string(voucherCheck(b)) != string(check) {
		return Voucher{}, errors.New("the checksum is wrong: characters are mistyped or missing")
	}
	v, err := decodeVoucher(b)
	if err != nil {
		return Voucher{}, err
	}
	if v.Link == nil && len(text) > maxVoucherText {
		return Voucher{}, errors.New("it is too long")
	}
	if again, err := v.Encode(); err != nil || again != text {
		return Voucher{}, errors.Join(errors.New("it is not in its one form"), err)
	}
	return v, nil
}

// decodeVoucher reads the bytes without the checksum, which are at least as many as those
// of a voucher without text and second link.
func decodeVoucher(b []byte) (v Voucher, err error) {
	v.Kind = VoucherKind(b[0])
	v.ID = token.ID(b[1:9])
	v.Issuer, v.Subject, v.Hub = identity.ID(b[9:41]), identity.ID(b[41:73]), identity.ID(b[73:105])
	expires := binary.BigEndian.Uint64(b[105:113])
	if expires == 0 || expires > maxExpires {
		return v, errors.New("its end is no date")
	}
	v.Expires = time.Unix(int64(expires), 0)
	n, rest := int(b[113]), b[voucherHeadBytes:]
	if len(rest) < n+SignatureBytes {
		return v, errors.New("it ends too early")
	}
	v.Text, rest = string(rest[:n]), rest[n:]
	v.Sig, rest = rest[:SignatureBytes], rest[SignatureBytes:]
	switch len(rest) {
	case 0:
		return v, nil
	case secondLinkBytes:
		l := &SecondLink{Node: identity.ID(rest[:32]), Sig: rest[32:96]}
		l.Joined = Joined{binary.BigEndian.Uint64(rest[96:104]), rest[104:]}
		v.Link = l
		return v, nil
	}
	return v, errors.New("it has more or fewer bytes than its fields")
}
