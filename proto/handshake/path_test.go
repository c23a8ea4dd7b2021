package handshake_test

import (
	"testing"

	"mesh/proto"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// A path that is not allowed is refused after the proof and before anything is used up.
// Only a dialer that knows the class path is told that; one of before gets a class that
// it can read, which ends no transfer that goes on.
func TestWrongPath(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method string
		minor  int
		class  string
		want   proto.Code // of the dialer
	}{
		{wire.MethodToken, 2, wire.ClassPath, proto.Unreachable},
		{wire.MethodKey, 2, wire.ClassPath, proto.Unreachable},
		{wire.MethodResume, 2, wire.ClassPath, proto.Unreachable},
		{wire.MethodFlow, 2, wire.ClassPath, proto.Unreachable},
		{wire.MethodToken, 1, wire.ClassCapability, proto.Capability},
		{wire.MethodToken, 0, wire.ClassCapability, proto.Capability},
		{wire.MethodResume, 1, wire.ClassBusy, proto.Busy},
		{wire.MethodFlow, 0, wire.ClassBusy, proto.Busy},
	} {
		for _, right := range []bool{true, false} {
			given, class, code := secret, tt.class, tt.want
			if !right {
				given, class, code = []byte("another"), wire.ClassDenied, proto.Denied
			}
			b := binding(1, 2, 3)
			d := dial(t, b, tt.method, given)
			guard := &desk{secret: secret, caps: proto.AllCaps}
			l := guard.listener()
			l.WrongPath, l.Minor = "direct tcp4", tt.minor
			v := l.Answer(b, d.Hello)
			if deny, ok := v.Answer.(*wire.Deny); !ok || deny.Class != class {
				t.Errorf("%s, minor version %d, right secret %v: answered %v, want P2P_DENY %s", tt.method, tt.minor, right, v.Answer, class)
			}
			_, _, err := d.Finish(v.Answer.Type(), wire.AppendBody(nil, v.Answer))
			xtest.WantCode(t, tt.method, err, code)
			if guard.claimed+guard.reserved > 0 || v.Fault != nil {
				t.Errorf("%s: got %d claims, %d places and fault %v", tt.method, guard.claimed, guard.reserved, v.Fault)
			}
		}
	}
}

// A path that is allowed changes nothing.
func TestRightPath(t *testing.T) {
	t.Parallel()
	b := binding(1, 2, 3)
	l := (&desk{secret: secret, caps: proto.AllCaps}).listener()
	for _, minor := range []int{0, 2} {
		l.Minor = minor
		v := l.Answer(b, dial(t, b, wire.MethodToken, secret).Hello)
		xtest.WantCode(t, "answer", v.Err, proto.OK)
	}
}
