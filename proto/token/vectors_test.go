package token_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/xtest"
)

var update = flag.Bool("update", false, "write the vectors anew")

// base32Text is the alphabet of tokens: RFC 4648 in lower case, not padded.
var base32Text = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// bearer is a token as mesh-protocol(7) describes it. The test encodes it without
// package token, so that it checks the code against the page.
type bearer struct {
	name     string
	flags    byte
	listener []byte
	id       string // 8 bytes
	caps     byte
	expires  uint64
	uses     uint16
	holder   []byte
	addrs    []string // kind and bytes in hexadecimal, port included
	secret   []byte
	shown    []string // the addresses as text
}

func (b bearer) claims() []byte {
	out := append([]byte{b.flags}, b.listener...)
	out = append(append(out, b.id...), b.caps)
	out = binary.BigEndian.AppendUint64(out, b.expires)
	out = binary.BigEndian.AppendUint16(out, b.uses)
	return append(out, b.holder...)
}

func (b bearer) text(t testing.TB) string {
	t.Helper()
	out := append(b.claims(), byte(len(b.addrs)))
	for _, a := range b.addrs {
		raw, err := hex.DecodeString(strings.ReplaceAll(a, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, raw...)
	}
	out = append(out, b.secret...)
	sum := sha256.Sum256(append([]byte("mesh1"), out...))
	return "mesh1" + base32Text.EncodeToString(append(out, sum[:4]...))
}

// vectorKey is the node key in testdata, read without package identity.
func vectorKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	text, err := os.ReadFile("testdata/node.key")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(ed25519.PrivateKey)
}

// bearers are the tokens of testdata/tokens.txt.
func bearers(t testing.TB) []bearer {
	t.Helper()
	key := vectorKey(t)
	public := key.Public().(ed25519.PublicKey)
	holder := bytes.Repeat([]byte{0x42}, 32)
	const until = 4102444800 // 2100-01-01
	v4, v6, name := "04 c0000201 11f8", "06 20010db8000000000000000000000001 ffff", "00 09 622e6578616d706c65 0001"
	many, manyShown := make([]string, 8), make([]string, 8)
	for i := range many {
		many[i], manyShown[i] = fmt.Sprintf("04 0a0000%02x 0001", i), fmt.Sprintf("10.0.0.%d:1", i)
	}
	session := []byte("0123456789abcdef")
	all := []bearer{
		{name: "session", caps: 1, expires: until, uses: 1, addrs: []string{v4}, shown: []string{"192.0.2.1:4600"}, secret: session},
		{name: "session without addresses, of all capabilities, for ever and anybody", caps: 15, secret: session},
		{name: "session with a holder", flags: 2, caps: 2, expires: until, uses: 1, holder: holder, addrs: []string{v6}, shown: []string{"[2001:db8::1]:65535"}, secret: session},
		{name: "capability", flags: 1, caps: 1, expires: until, addrs: []string{v4, v6, name}, shown: []string{"192.0.2.1:4600", "[2001:db8::1]:65535", "b.example:1"}},
		{name: "capability with a holder, of the last second, for the most nodes", flags: 3, caps: 3, expires: 253402300799, uses: 65535, holder: holder},
		{name: "capability with 8 addresses", flags: 1, caps: 2, uses: 1, addrs: many, shown: manyShown},
	}
	for i := range all {
		all[i].id = fmt.Sprintf("vector %d", i)
		all[i].listener = public
		if all[i].secret == nil {
			all[i].secret = ed25519.Sign(key, append([]byte("mesh/1 capability\x00"), all[i].claims()...))
		}
	}
	return all
}

const vectorsHeader = `# Test vectors of the protocol mesh/1: tokens of the node key in node.key.
# The format is described in mesh-protocol(7), the section "Tokens".
#
# An entry is lines "name: value" and ends with an empty line. "token" is the
# text; the lines before it say what the token contains. "claims" and "secret"
# are its parts; the secret of a capability is the signature of its claims.
# Binary values are hexadecimal; expires is in seconds since 1970, 0 for never.

`

// The vectors agree with the page, and the code reads and writes them.
func TestVectors(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	got.WriteString(vectorsHeader)
	for _, b := range bearers(t) {
		fmt.Fprintf(&got, "name: %s\nlistener: %x\nid: %x\ncaps: %s\nexpires: %d\nuses: %d\nholder: %x\naddrs: %s\nclaims: %x\nsecret: %x\ntoken: %s\n\n",
			b.name, b.listener, b.id, proto.Caps(b.caps), b.expires, b.uses, b.holder, strings.Join(b.shown, ","), b.claims(), b.secret, b.text(t))
	}
	const file = "testdata/tokens.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || got.String() != string(want) {
		t.Errorf("tokens differ from %s (%v); got\n%s", file, err, got.String())
	}
	for _, b := range bearers(t) {
		tok, err := token.Parse(b.text(t))
		if err != nil {
			t.Errorf("%s: %v", b.name, err)
			continue
		}
		want := token.Claims{
			Listener: identity.ID(b.listener), ID: token.ID([]byte(b.id)), Signed: b.flags&1 != 0, Caps: proto.Caps(b.caps), Uses: b.uses,
		}
		if b.expires != 0 {
			want.Expires = time.Unix(int64(b.expires), 0)
		}
		if b.holder != nil {
			want.Holder = identity.ID(b.holder)
		}
		if tok.Claims != want || fmt.Sprint(tok.Addrs) != fmt.Sprint(b.shown) {
			t.Errorf("%s: got %+v %v, want %+v %v", b.name, tok.Claims, tok.Addrs, want, b.shown)
		}
		public := []byte(b.id)
		if want.Signed {
			public = b.claims()
		}
		if c := tok.Credential(); !bytes.Equal(c.Secret, b.secret) || !bytes.Equal(c.Public, public) {
			t.Errorf("%s: shows %x and keeps %x, want %x and %x", b.name, c.Public, c.Secret, public, b.secret)
		}
		if again := encode(t, tok); again != b.text(t) {
			t.Errorf("%s: got %s again, want %s", b.name, again, b.text(t))
		}
	}
}

// Tokens with a right checksum are refused if a value in them is not valid, or not in
// its one valid form.
func TestOtherForms(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(b *bearer){
		"unknown flag":          func(b *bearer) { b.flags |= 4 },
		"high flag":             func(b *bearer) { b.flags |= 0x80 },
		"no capability":         func(b *bearer) { b.caps = 0 },
		"unknown capability":    func(b *bearer) { b.caps = 0x11 },
		"after the year 9999":   func(b *bearer) { b.expires = 253402300800 },
		"long after":            func(b *bearer) { b.expires = 1<<64 - 1 },
		"holder is nobody":      func(b *bearer) { b.flags |= 2; b.holder = make([]byte, 32) },
		"holder not flagged":    func(b *bearer) { b.holder = bytes.Repeat([]byte{1}, 32) },
		"holder missing":        func(b *bearer) { b.flags |= 2 },
		"9 addresses":           func(b *bearer) { b.addrs = append(b.addrs, make([]string, 8)...); fill(b.addrs) },
		"address missing":       func(b *bearer) { b.addrs = append(b.addrs, "") },
		"unknown kind":          func(b *bearer) { b.addrs = []string{"05 c0000201 11f8"} },
		"port 0":                func(b *bearer) { b.addrs = []string{"04 c0000201 0000"} },
		"mapped IPv4":           func(b *bearer) { b.addrs = []string{"06 00000000000000000000ffffc0000201 11f8"} },
		"IPv4 as a name":        func(b *bearer) { b.addrs = []string{"00 09 3139322e302e322e31 11f8"} },
		"IPv6 as a name":        func(b *bearer) { b.addrs = []string{"00 03 3a3a31 11f8"} },
		"zone":                  func(b *bearer) { b.addrs = []string{"00 05 3a3a312561 11f8"} },
		"empty name":            func(b *bearer) { b.addrs = []string{"00 00 11f8"} },
		"name of two words":     func(b *bearer) { b.addrs = []string{"00 03 612062 11f8"} },
		"name of two lines":     func(b *bearer) { b.addrs = []string{"00 03 610a62 11f8"} },
		"name that escapes":     func(b *bearer) { b.addrs = []string{"00 03 611b62 11f8"} },
		"name of two addresses": func(b *bearer) { b.addrs = []string{"00 03 612c62 11f8"} },
		"longest name and 1":    func(b *bearer) { b.addrs = []string{"00 fe" + strings.Repeat("61", 254) + "11f8"} },
		"name with its port":    func(b *bearer) { b.addrs = []string{"00 03 613a31 11f8"} },
		"no secret":             func(b *bearer) { b.secret = nil },
		"short secret":          func(b *bearer) { b.secret = b.secret[1:] },
		"long secret":           func(b *bearer) { b.secret = append(bytes.Clone(b.secret), 0) },
		"the other's secret": func(b *bearer) {
			b.secret = make([]byte, map[bool]int{true: 16, false: 64}[b.flags&1 != 0])
		},
	} {
		for _, b := range bearers(t) {
			if b.name != "session" && b.name != "capability" {
				continue
			}
			change(&b)
			_, err := token.Parse(b.text(t))
			xtest.WantCode(t, b.name+", "+what, err, proto.Usage)
		}
	}
	b := bearers(t)[0]
	b.addrs = []string{"00 fd" + strings.Repeat("61", 253) + "11f8"}
	if _, err := token.Parse(b.text(t)); err != nil {
		t.Errorf("longest name: %v", err)
	}
}

// fill replaces empty addresses by a valid one.
func fill(addrs []string) {
	for i := range addrs {
		if addrs[i] == "" {
			addrs[i] = "04 c0000201 11f8"
		}
	}
}

// A token with any one character changed, or cut at any place, is refused.
func TestEachWrongCharacter(t *testing.T) {
	t.Parallel()
	for _, b := range bearers(t)[:4] {
		text := b.text(t)
		for i := range text {
			for _, c := range "abcdefghijklmnopqrstuvwxyz234567AZ01= \n\x00" {
				bad := text[:i] + string(c) + text[i+1:]
				if strings.EqualFold(bad, text) { // tokens are read in any case
					continue
				}
				_, err := token.Parse(bad)
				if got := proto.CodeOf(err); got != proto.Usage {
					t.Errorf("%s with %q at %d: got %v (%v), want %v", b.name, c, i, got, err, proto.Usage)
				}
			}
		}
		for n := range text {
			_, err := token.Parse(text[:n])
			if got := proto.CodeOf(err); got != proto.Usage {
				t.Errorf("the first %d characters of %s: got %v (%v), want %v", n, b.name, got, err, proto.Usage)
			}
		}
	}
}
