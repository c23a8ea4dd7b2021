package cpace

import (
	"bytes"
	"crypto/ecdh"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
)

// vectors reads the vectors of the draft.
func vectors(t *testing.T) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/x25519-sha512.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) != 2 {
			continue
		}
		if all[words[0]], err = hex.DecodeString(words[1]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func scalar(t testing.TB, b []byte) *ecdh.PrivateKey {
	t.Helper()
	k, err := ecdh.X25519().NewPrivateKey(b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func want(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got %x, want %x", what, got, want)
	}
}

func TestVectors(t *testing.T) {
	t.Parallel()
	v := vectors(t)
	want(t, "generator", elligator2(v["hash"]), v["generator"])
	var ends [2]*State
	for i, end := range []string{"a", "b"} {
		secret := scalar(t, v["y"+end])
		share, err := multiply(secret, v["generator"])
		if err != nil {
			t.Fatal(err)
		}
		want(t, "Y"+end, share, v["Y"+end])
		ends[i] = &State{v["sid"], secret, share}
	}
	k, err := multiply(ends[0].secret, v["Yb"])
	if err != nil {
		t.Fatal(err)
	}
	want(t, "K", k, v["K"])
	isk, err := ends[0].Initiator(v["ADa"], Message{v["Yb"], v["ADb"]})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "ISK_IR of the initiator", isk, v["ISK_IR"])
	if isk, err = ends[1].Responder(v["ADb"], Message{v["Ya"], v["ADa"]}); err != nil {
		t.Fatal(err)
	}
	want(t, "ISK_IR of the responder", isk, v["ISK_IR"])
}

// The whole exchange, from the password on, has the draft's numbers, in two of its revisions.
func TestGeneratorVectors(t *testing.T) {
	t.Parallel()
	v := vectors(t)
	for _, revision := range []string{"", "later."} {
		ci := v[revision+"CI"]
		hash := sha512.Sum512(generatorString(v["PRS"], ci, v["sid"]))
		want(t, revision+"hash of the generator string", hash[:32], v[revision+"hash"])
		want(t, revision+"generator", generator(v["PRS"], ci, v["sid"]), v[revision+"generator"])
		a, err := begin(v["PRS"], ci, v["sid"], v["ya"])
		if err != nil {
			t.Fatal(err)
		}
		b, err := begin(v["PRS"], ci, v["sid"], v["yb"])
		if err != nil {
			t.Fatal(err)
		}
		want(t, revision+"Ya", a.Share(), v[revision+"Ya"])
		want(t, revision+"Yb", b.Share(), v[revision+"Yb"])
		isk, err := a.Initiator(v["ADa"], Message{b.Share(), v["ADb"]})
		if err != nil {
			t.Fatal(err)
		}
		want(t, revision+"ISK_IR of the initiator", isk, v[revision+"ISK_IR"])
		if isk, err = b.Responder(v["ADb"], Message{a.Share(), v["ADa"]}); err != nil {
			t.Fatal(err)
		}
		want(t, revision+"ISK_IR of the responder", isk, v[revision+"ISK_IR"])
	}
}

// Points of low order are refused in each of their forms; what only looks like one is
// not.
func TestLowOrder(t *testing.T) {
	t.Parallel()
	v := vectors(t)
	s := &State{v["sid"], scalar(t, v["s"]), v["Ya"]}
	for _, n := range "0123456789ab" {
		u, q := v["u"+string(n)], v["q"+string(n)]
		_, err := s.Responder(nil, Message{u, nil})
		product, _ := multiply(s.secret, u)
		if low := len(q) == 1; low != errors.Is(err, ErrShare) || !low && !bytes.Equal(product, q) {
			t.Errorf("u%c %x: got %x, %v; want %x", n, u, product, err, q)
		}
	}
	for _, n := range []int{0, 31, 33, 1 << 16} {
		if _, err := s.Initiator(nil, Message{make([]byte, n), nil}); !errors.Is(err, ErrShare) {
			t.Errorf("share of %d bytes: got %v, want ErrShare", n, err)
		}
	}
}

// slowGenerator is generator with numbers of any size, as the draft and RFC 9380 write
// it down.
func slowGenerator(password, ci, sid []byte) []byte {
	var text []byte
	put := func(b []byte) {
		n := uint64(len(b))
		for {
			if n < 128 {
				text = append(text, byte(n))
				break
			}
			text = append(text, byte(n%128+128))
			n /= 128
		}
		text = append(text, b...)
	}
	put([]byte("CPace255"))
	put(password)
	put(make([]byte, max(0, 128-1-len(text))))
	put(ci)
	put(sid)
	hash := sha512.Sum512(text)
	u := hash[:32]
	u[31] &= 0x7f
	slices.Reverse(u)
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	mod := func(x *big.Int) *big.Int { return x.Mod(x, p) }
	mul := func(x, y *big.Int) *big.Int { return mod(new(big.Int).Mul(x, y)) }
	a, r, one := big.NewInt(486662), mod(new(big.Int).SetBytes(u)), big.NewInt(1)
	d := new(big.Int).Add(one, mul(big.NewInt(2), mul(r, r)))
	x := mod(new(big.Int).Neg(mul(a, new(big.Int).ModInverse(mod(d), p))))
	y2 := new(big.Int).Add(mul(mul(x, x), x), mul(a, mul(x, x)))
	if y2 = mod(y2.Add(y2, x)); big.Jacobi(y2, p) < 0 {
		x = mod(new(big.Int).Neg(new(big.Int).Add(x, a)))
	}
	out := x.FillBytes(make([]byte, 32))
	slices.Reverse(out)
	return out
}

// Ends of the same password, identifiers and messages get the same key; a difference in
// any of them makes another key.
func TestExchange(t *testing.T) {
	t.Parallel()
	start := func(password, ci, sid string) *State {
		s, err := New([]byte(password), []byte(ci), []byte(sid))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a := start("one-two-three", "hub", "box")
	for _, tt := range []struct {
		name              string
		password, ci, sid string
		seenAD, seenOther string
		same              bool
	}{
		{"the same", "one-two-three", "hub", "box", "A", "B", true},
		{"password", "one-two-four", "hub", "box", "A", "B", false},
		{"channel", "one-two-three", "bus", "box", "A", "B", false},
		{"session", "one-two-three", "hub", "fox", "A", "B", false},
		{"data of the initiator", "one-two-three", "hub", "box", "X", "B", false},
		{"data of the responder", "one-two-three", "hub", "box", "A", "X", false},
		{"a border moved", "one-two-three", "hubb", "ox", "A", "B", false},
	} {
		b := start(tt.password, tt.ci, tt.sid)
		k1, err1 := a.Initiator([]byte("A"), Message{b.Share(), []byte("B")})
		k2, err2 := b.Responder([]byte(tt.seenOther), Message{a.Share(), []byte(tt.seenAD)})
		if err1 != nil || err2 != nil || len(k1) != KeySize || bytes.Equal(k1, k2) != tt.same {
			t.Errorf("%s: got keys %x and %x, %v, %v; want the same: %v", tt.name, k1, k2, err1, err2, tt.same)
		}
	}
	if b := start("one-two-three", "hub", "box"); bytes.Equal(a.Share(), b.Share()) {
		t.Error("two ends have the same share")
	}
}

// A hostile end sends any share; neither does the generator depend on more than what the
// draft says.
func FuzzExchange(f *testing.F) {
	f.Add([]byte("Password"), []byte("ci"), []byte("sid"), make([]byte, 32))
	f.Add([]byte{}, bytes.Repeat([]byte{1}, 300), []byte{}, bytes.Repeat([]byte{0xff}, 32))
	f.Add(bytes.Repeat([]byte{2}, 200), []byte{}, []byte{3}, []byte{9})
	f.Fuzz(func(t *testing.T, password, ci, sid, share []byte) {
		want(t, "generator", generator(password, ci, sid), slowGenerator(password, ci, sid))
		s, err := New(password, ci, sid)
		if err != nil {
			t.Fatal(err)
		}
		k, err := s.Responder(ci, Message{share, sid})
		if (err == nil) != (len(k) == KeySize) || err != nil && !errors.Is(err, ErrShare) {
			t.Errorf("share %x: got %x, %v", share, k, err)
		}
	})
}

func BenchmarkSide(b *testing.B) {
	peer, err := New([]byte("p"), nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := New([]byte("p"), nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Responder(nil, Message{peer.Share(), nil}); err != nil {
			b.Fatal(err)
		}
	}
}
