package handshake_test

import (
	"bytes"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

func TestDialogue(t *testing.T) {
	t.Parallel()
	for _, method := range []string{wire.MethodToken, wire.MethodCapability, wire.MethodKey, wire.MethodResume} {
		b := binding(1, 2, 3)
		d := dial(t, b, method, secret)
		v := (&desk{secret: secret, caps: proto.AllCaps}).listener().Answer(b, d.Hello)
		xtest.WantCode(t, method, v.Err, proto.OK)
		ok, granted, err := d.Finish(v.Answer.Type(), wire.AppendBody(nil, v.Answer))
		xtest.WantCode(t, method, err, proto.OK)
		if granted != proto.CapSend || v.Granted != granted && method != wire.MethodResume || ok.Transfer != v.Transfer || v.Window != window {
			t.Errorf("%s: dialer got %v for %s, listener gave %v for %s", method, granted, ok.Transfer, v.Granted, v.Transfer)
		}
	}
}

// The whole handshake with a real registry, for each credential, and then that of the
// transfer's next link. A message of one link is worthless on another.
func TestWithRegistry(t *testing.T) {
	t.Parallel()
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	book := identity.Book{Dir: t.TempDir()}
	b := binding(1, 2, 0)
	b.Listener = key.ID()
	other := b
	other.Exporter = bytes.Repeat([]byte{7}, proto.ExporterBytes)
	registry := token.NewRegistry(key, book)
	session, err := registry.Issue(proto.CapSend, time.Hour, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	capability, err := token.NewCapability(key, proto.CapSend, time.Hour, 1, b.Dialer, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := book.Allow(b.Dialer, proto.CapSend); err != nil {
		t.Fatal(err)
	}
	for _, cred := range []token.Credential{session.Credential(), capability.Credential(), token.KeyCredential()} {
		l := (&desk{}).listener()
		l.Guard = registry
		d, err := handshake.NewDialer(b, cred, proto.CapSend|proto.CapRecv, wire.KindPipe, window, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		replayed := l.Answer(other, d.Hello)
		xtest.WantCode(t, cred.Method+" replayed", replayed.Err, proto.Denied)
		v := l.Answer(b, d.Hello)
		xtest.WantCode(t, cred.Method, v.Err, proto.OK)
		ok, granted, err := d.Finish(v.Answer.Type(), wire.AppendBody(nil, v.Answer))
		xtest.WantCode(t, cred.Method, err, proto.OK)
		if granted != proto.CapSend {
			t.Errorf("%s: got %v, want %v of all that was asked for", cred.Method, granted, proto.CapSend)
		}

		secret, err := b.ResumeSecret(cred.Secret)
		if err != nil || !bytes.Equal(secret, v.Secret) {
			t.Errorf("%s: the ends have different secrets to resume with (%v)", cred.Method, err)
		}
		l.Resume = func(transfer []byte, dialer identity.ID) (token.Admission, error) {
			if !bytes.Equal(transfer, v.Transfer[:]) || dialer != b.Dialer {
				return token.Admission{}, proto.Errorf(proto.Denied, "no such transfer")
			}
			return token.Admission{Secret: v.Secret, Caps: v.Granted}, nil
		}
		l.Reserve = func(identity.ID) bool {
			t.Errorf("%s: a resumed transfer takes another place", cred.Method)
			return true
		}
		cred.Method, cred.Public, cred.Secret = wire.MethodResume, ok.Transfer[:], secret
		if d, err = handshake.NewDialer(other, cred, granted, wire.KindPipe, window, "", 0); err != nil {
			t.Fatal(err)
		}
		xtest.WantCode(t, "resumed, replayed", l.Answer(b, d.Hello).Err, proto.Denied)
		next := l.Answer(other, d.Hello)
		xtest.WantCode(t, "resumed", next.Err, proto.OK)
		again, _, err := d.Finish(next.Answer.Type(), wire.AppendBody(nil, next.Answer))
		xtest.WantCode(t, "resumed", err, proto.OK)
		if again.Transfer != ok.Transfer || next.Secret != nil {
			t.Errorf("resumed: got transfer %s and secret %x, want %s and none", again.Transfer, next.Secret, ok.Transfer)
		}
	}
}
