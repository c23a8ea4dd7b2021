package token_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

func newRegistry(t testing.TB) (*token.Registry, *identity.Key, identity.Book) {
	t.Helper()
	key, book := xtest.NewKey(t), identity.Book{Dir: t.TempDir()}
	return token.NewRegistry(key, book), key, book
}

// all returns tokens of every form.
func all(t testing.TB) []token.Token {
	t.Helper()
	r, key, _ := newRegistry(t)
	addrs := []string{"192.0.2.1:1", "[2001:db8::1]:65535", "b.example:4600", "10.0.0.1:2", "10.0.0.2:2", "10.0.0.3:2", "10.0.0.4:2", "10.0.0.5:2"}
	var tokens []token.Token
	add := func(tok token.Token, err error) {
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, tok)
	}
	for n := range len(addrs) + 1 {
		add(r.Issue(proto.CapSend, time.Hour, 1, addrs[:n]))
		add(token.NewCapability(key, proto.AllCaps, 0, 0, identity.ID{}, addrs[:n]))
	}
	add(token.NewCapability(key, proto.CapRecv, time.Minute, 65535, xtest.NewKey(t).ID(), addrs[:1]))
	return tokens
}

func encode(t testing.TB, tok token.Token) string {
	t.Helper()
	text, err := tok.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, tok := range all(t) {
		text := encode(t, tok)
		half := len(text) / 2
		for what, shown := range map[string]string{"lower": text, "upper": strings.ToUpper(text), "mixed": strings.ToUpper(text[:half]) + text[half:]} {
			got, err := token.Parse(shown)
			if err != nil || !got.Equal(tok) || fmt.Sprint(got.Addrs) != fmt.Sprint(tok.Addrs) {
				t.Errorf("%s case: got %+v %v (%v), want %+v %v", what, got.Claims, got.Addrs, err, tok.Claims, tok.Addrs)
			}
		}
	}
}

func TestDamaged(t *testing.T) {
	t.Parallel()
	for _, tok := range []token.Token{all(t)[2], all(t)[3]} {
		text := encode(t, tok)
		bad := []string{"", "mesh1", text[:len(text)-1], text + "a", text + " ", text[:60], token.Prefix + strings.Repeat("a", token.MaxTextBytes)}
		for i := range text {
			c := byte('a')
			if text[i] == c {
				c = 'b'
			}
			bad = append(bad, text[:i]+string(c)+text[i+1:])
		}
		for _, s := range bad {
			_, err := token.Parse(s)
			xtest.WantCode(t, fmt.Sprintf("a token of %d characters", len(s)), err, proto.Usage)
			for i := len(token.Prefix); err != nil && i+6 < len(text); i += 6 {
				if strings.Contains(err.Error(), text[i:i+6]) {
					t.Errorf("the error shows a piece of the token: %v", err)
				}
			}
		}
	}
}

func TestPrintsNoSecret(t *testing.T) {
	t.Parallel()
	for _, tok := range all(t) {
		text := encode(t, tok)
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", tok)
		for _, shown := range []string{tok.String(), fmt.Sprintf("%v %+v %#v %s", tok, tok, tok, tok), log.String()} {
			if !strings.Contains(shown, tok.ID.String()) || len(shown) > 400 || strings.Contains(shown, text[len(text)-20:]) {
				t.Errorf("got %q, want the id and nothing else", shown)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, tok := range all(f) {
		f.Add(encode(f, tok))
		f.Add(strings.ToUpper(encode(f, tok)))
	}
	f.Fuzz(func(t *testing.T, s string) {
		tok, err := token.Parse(s)
		if err != nil {
			return
		}
		if again := encode(t, tok); again != strings.ToLower(s) {
			t.Errorf("got %q again, want %q", again, s)
		}
	})
}

// The node id and the token in testdata/capability.txt belong to the node key
// beside it.
func TestVector(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pem, err := os.ReadFile("testdata/node.key")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, identity.KeyFile), pem, 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := identity.LoadKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/capability.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, lines, _ := strings.Cut(string(text), "\n\n") // behind the header
	want := strings.Fields(lines)
	if len(want) != 2 || key.ID().String() != want[0] {
		t.Fatalf("got node id %s, want %s", key.ID(), want[0])
	}
	tok, err := token.Parse(want[1])
	if err != nil || tok.Listener != key.ID() || !tok.Signed {
		t.Fatalf("got %+v (%v), want a capability of %s", tok.Claims, err, key.ID())
	}
	found, err := token.NewRegistry(key, identity.Book{Dir: dir}).Find(hello(tok), xtest.NewKey(t).ID())
	if err != nil || string(found.Secret) != string(tok.Credential().Secret) {
		t.Errorf("the node signs these claims otherwise than the token says (%v)", err)
	}
}

func hello(tok token.Token) *wire.Hello {
	c := tok.Credential()
	return &wire.Hello{Method: c.Method, Token: c.Public}
}

func TestFind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, key, book := newRegistry(t)
		other, otherKey, _ := newRegistry(t)
		dialer := xtest.NewKey(t).ID()
		session, err := r.Issue(proto.CapSend, time.Minute, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		capability, err := token.NewCapability(key, proto.CapRecv, time.Minute, 0, dialer, nil)
		if err != nil {
			t.Fatal(err)
		}
		foreign, err := token.NewCapability(otherKey, proto.CapRecv, time.Minute, 0, identity.ID{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		find := func(what string, r *token.Registry, h *wire.Hello, who identity.ID, want proto.Code) token.Admission {
			t.Helper()
			a, err := r.Find(h, who)
			xtest.WantCode(t, what, err, want)
			return a
		}
		if a := find("session", r, hello(session), dialer, proto.OK); a.Caps != proto.CapSend || string(a.Secret) != string(session.Credential().Secret) {
			t.Errorf("session: got %v", a.Caps)
		}
		if a := find("capability", r, hello(capability), dialer, proto.OK); a.Caps != proto.CapRecv || string(a.Secret) != string(capability.Credential().Secret) {
			t.Errorf("capability: got %v", a.Caps)
		}
		find("session of another process", other, hello(session), dialer, proto.Denied)
		find("another node's capability", r, hello(foreign), dialer, proto.Denied)
		find("another holder", r, hello(capability), xtest.NewKey(t).ID(), proto.Denied)
		find("unlisted key", r, &wire.Hello{Method: wire.MethodKey}, dialer, proto.Denied)
		if err := book.Allow(dialer, proto.CapRecv); err != nil {
			t.Fatal(err)
		}
		find("listed key", r, &wire.Hello{Method: wire.MethodKey}, dialer, proto.OK)
		// A bearer who changes the claims of a capability does not have the secret for them.
		for i := range capability.Credential().Public {
			public := append([]byte{}, capability.Credential().Public...)
			public[i] ^= 1
			if a, err := r.Find(&wire.Hello{Method: wire.MethodCapability, Token: public}, dialer); err == nil && string(a.Secret) == string(capability.Credential().Secret) {
				t.Errorf("claims with byte %d changed have the same secret", i)
			}
		}
		if err := token.Revoke(book.Dir, session.ID); err != nil {
			t.Fatal(err)
		}
		find("revoked", r, hello(session), dialer, proto.Denied)
		<-time.After(2 * time.Minute)
		find("expired", r, hello(capability), dialer, proto.Denied)
	})
}

func TestClaims(t *testing.T) {
	t.Parallel()
	r, key, book := newRegistry(t)
	session, err := r.Issue(proto.CapSend, time.Hour, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	capability, err := token.NewCapability(key, proto.CapSend, time.Hour, 2, identity.ID{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tok := range []token.Token{session, capability} {
		var in, out atomic.Int32
		var wg sync.WaitGroup
		for range 40 {
			who := xtest.NewKey(t).ID()
			wg.Go(func() {
				for range 2 { // the same node may come again
					a, err := r.Find(hello(tok), who)
					if err != nil {
						t.Error(err)
						return
					}
					if a.Claim() == nil {
						in.Add(1)
					} else {
						out.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if in.Load() != 4 || out.Load() != 76 {
			t.Errorf("%s for 2 nodes: %d claims went well and %d did not, want 4 and 76", tok, in.Load(), out.Load())
		}
	}
	// The claims of a capability outlive the process.
	a, err := token.NewRegistry(key, book).Find(hello(capability), xtest.NewKey(t).ID())
	if err != nil {
		t.Fatal(err)
	}
	xtest.WantCode(t, "claim after a restart", a.Claim(), proto.Denied)
}
