package handshake_test

import (
	"slices"
	"testing"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// A listener refuses a kind of transfer that it does not accept. Only an authenticated
// dialer learns that, and no use of its token is taken.
func TestKinds(t *testing.T) {
	t.Parallel()
	both := []string{wire.KindPipe, wire.KindFiles}
	for _, tt := range []struct {
		kind  string
		taken []string
		want  proto.Code
	}{
		{wire.KindPipe, nil, proto.OK},
		{wire.KindFiles, nil, proto.Declined},
		{wire.KindFiles, both, proto.OK},
		{wire.KindPipe, both, proto.OK},
		{wire.KindPipe, both[1:], proto.Declined},
		{wire.KindTTY, both, proto.Declined},
		{wire.KindTTY, []string{wire.KindTTY}, proto.OK},
		{wire.KindPipe, []string{wire.KindTTY}, proto.Declined},
	} {
		want := proto.CapSend
		if tt.kind == wire.KindTTY {
			want = proto.CapTTYView
		}
		for _, right := range []bool{true, false} {
			given, code := secret, tt.want
			if !right {
				given, code = []byte("another"), proto.Denied
			}
			b := binding(1, 2, 3)
			cred := token.Credential{Method: wire.MethodToken, Public: make([]byte, 8), Secret: given}
			d, err := handshake.NewDialer(b, cred, want, tt.kind, window, "", 0)
			if err != nil {
				t.Fatal(err)
			}
			guard := &desk{secret: secret, caps: proto.AllCaps}
			l := guard.listener()
			if tt.taken != nil {
				l.Takes = func(kind string) bool { return slices.Contains(tt.taken, kind) }
			}
			v := l.Answer(b, d.Hello)
			_, _, err = d.Finish(v.Answer.Type(), wire.AppendBody(nil, v.Answer))
			xtest.WantCode(t, tt.kind, v.Err, code)
			xtest.WantCode(t, tt.kind, err, code)
			if code == proto.OK && v.Kind != tt.kind || code != proto.OK && guard.claimed+guard.reserved > 0 {
				t.Errorf("got kind %q, %d claims and %d places", v.Kind, guard.claimed, guard.reserved)
			}
		}
	}
}
