package hub

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"log/slog"
	"strings"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
)

// InvitePrefix begins the text of an invite.
const InvitePrefix = "mi1"

const (
	maxInviteTextBytes = 2 << 10
	inviteCheckBytes   = 4
	inviteFixedBytes   = 1 + 8 + 32 + 32 + 1
	// maxExpires is the end of the year 9999 in seconds since 1970.
	maxExpires = 253402300799
)

// base32Text is the encoding of node ids and tokens.
var base32Text = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Invite makes its bearer a member of a hub. Its bytes, whose text is base32:
//
//	0 u8 | expires u64 | hub 32 | seed 32 | u8 length, URL | u16 length, voucher or nothing |
//	checksum 4
//
// The voucher is that of an issuer about the seed's public half, for this hub: its bytes up
// to the signature. The hub stores the public half of the seed only. It prints as its hub;
// [Invite.Encode] returns its text.
type Invite struct {
	// URL is the hub's; its key is always there.
	URL URL
	// Expires is in whole seconds and never zero.
	Expires time.Time
	// Seed is the secret: that of an Ed25519 key.
	Seed [ed25519.SeedSize]byte
	// Voucher, if it is set, is what the joiner can hand on to itself: see
	// [Voucher.HandOn].
	Voucher *Voucher
}

// NewInvite makes an invite with a random seed, for a hub whose key the URL has.
func NewInvite(u URL, expires time.Time) Invite {
	i := Invite{URL: u, Expires: time.Unix(expires.Unix(), 0)}
	_, _ = rand.Read(i.Seed[:]) // never fails (crypto/rand)
	return i
}

// Vouch puts the word of an issuer into the invite: that the node which uses it may log in
// to the hub, or, with a name, that it has this name. The voucher ends at until.
func (i *Invite) Vouch(issuer *identity.Key, name string, until time.Time) error {
	v := Voucher{Kind: VoucherAdmit, Subject: i.Key(), Hub: i.URL.Key, Expires: until, Text: name}
	if name != "" {
		v.Kind = VoucherName
	}
	v, err := NewVoucher(issuer, v)
	if err == nil {
		i.Voucher = &v
	}
	return err
}

// checkVoucher returns an error unless the voucher is one that an invite may carry.
func (i Invite) checkVoucher() error {
	v := i.Voucher
	switch {
	case v == nil:
		return nil
	case v.Link != nil || v.Kind != VoucherName && v.Kind != VoucherAdmit || v.Subject != i.Key() || v.Hub != i.URL.Key:
		return errors.New("its voucher is not about it")
	}
	if err := v.check(); err != nil {
		return err
	}
	return v.CheckSigned()
}

// Key returns the public half of the seed: the invite's id at the hub.
func (i Invite) Key() identity.ID {
	return identity.ID(ed25519.NewKeyFromSeed(i.Seed[:]).Public().(ed25519.PublicKey))
}

// String returns the hub, so that no secret is printed by accident.
func (i Invite) String() string { return "invite to " + i.URL.Origin() }

// GoString returns what [Invite.String] does.
func (i Invite) GoString() string { return i.String() }

// LogValue implements [slog.LogValuer] as String does.
func (i Invite) LogValue() slog.Value { return slog.StringValue(i.String()) }

// Encode returns the text, secret included.
func (i Invite) Encode() (string, error) {
	if i.URL.Key == (identity.ID{}) || i.Expires.Unix() <= 0 || i.Expires.Unix() > maxExpires {
		return "", errors.New("an invite needs the hub's key and an end")
	}
	if err := i.checkVoucher(); err != nil {
		return "", err
	}
	bare := i.URL
	bare.Key = identity.ID{}
	u := bare.String()
	if len(u) > MaxURLBytes {
		return "", errors.New("the hub's URL is too long")
	}
	b := binary.BigEndian.AppendUint64([]byte{0}, uint64(i.Expires.Unix()))
	b = append(append(b, i.URL.Key[:]...), i.Seed[:]...)
	b = append(append(b, byte(len(u))), u...)
	var voucher []byte
	if i.Voucher != nil {
		voucher = append(i.Voucher.head(), i.Voucher.Sig...)
	}
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(voucher))), voucher...)
	return InvitePrefix + base32Text.EncodeToString(append(b, inviteCheck(b)...)), nil
}

func inviteCheck(b []byte) []byte {
	sum := sha256.Sum256(append([]byte(InvitePrefix), b...))
	return sum[:inviteCheckBytes]
}

// ParseInvite parses the result of [Invite.Encode]. The error, with code [proto.Usage],
// does not repeat the text.
func ParseInvite(text string) (Invite, error) {
	i, err := parseInvite(text)
	if err != nil {
		return Invite{}, proto.Errorf(proto.Usage, "not an invite: %w", err)
	}
	return i, nil
}

func parseInvite(text string) (Invite, error) {
	var i Invite
	if !strings.HasPrefix(text, InvitePrefix) {
		return i, errors.New("it does not begin with " + InvitePrefix)
	}
	if len(text) > maxInviteTextBytes {
		return i, errors.New("it is too long")
	}
	b, err := base32Text.DecodeString(text[len(InvitePrefix):])
	if err != nil || len(b) < inviteFixedBytes+2+inviteCheckBytes {
		return i, errors.New("characters are wrong or missing")
	}
	b, check := b[:len(b)-inviteCheckBytes], b[len(b)-inviteCheckBytes:]
	if string(inviteCheck(b)) != string(check) {
		return i, errors.New("the checksum is wrong: characters are mistyped or missing")
	}
	if err := i.decode(b); err != nil {
		return Invite{}, err
	}
	if again, err := i.Encode(); err != nil || again != text {
		return Invite{}, errors.Join(errors.New("it is not in its one form"), err)
	}
	return i, nil
}

// decode reads the bytes without the checksum.
func (i *Invite) decode(b []byte) error {
	if b[0] != 0 {
		return errors.New("it is of a kind that this version does not know")
	}
	expires := binary.BigEndian.Uint64(b[1:9])
	if expires == 0 || expires > maxExpires {
		return errors.New("its end is no date")
	}
	i.Expires = time.Unix(int64(expires), 0)
	key := identity.ID(b[9:41])
	i.Seed = [ed25519.SeedSize]byte(b[41:73])
	n := int(b[73])
	rest := b[inviteFixedBytes:]
	if len(rest) < n+2 {
		return errors.New("it ends too early")
	}
	u, err := ParseURL(string(rest[:n]))
	if err != nil {
		return err
	}
	if u.Key != (identity.ID{}) {
		return errors.New("its URL names the key again")
	}
	u.Key = key
	i.URL = u
	return i.decodeVoucher(rest[n:])
}

// decodeVoucher reads the length and the bytes of the voucher. [Invite.Encode] checks it.
func (i *Invite) decodeVoucher(b []byte) error {
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; len(b) != n || n > 0 && n < voucherHeadBytes+SignatureBytes {
		return errors.New("its voucher has more or fewer bytes than it should")
	}
	if n == 0 {
		return nil
	}
	v, err := decodeVoucher(b)
	i.Voucher = &v
	return err
}
