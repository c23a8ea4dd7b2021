package agent_test

import (
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
)

// The waits between two attempts double up to their limit, each a random part of it; a hub
// that has refused the node is asked again after minutes.
func TestPause(t *testing.T) {
	t.Parallel()
	const most = 30 * time.Second
	for _, tt := range []struct {
		tries, closed int
		code          proto.Code
		min, max      time.Duration
	}{
		{0, -1, proto.Unreachable, 0, 250 * time.Millisecond},
		{1, -1, proto.Unreachable, 0, 500 * time.Millisecond},
		{3, hub.CloseRestart, proto.Unreachable, 0, 2 * time.Second},
		{7, -1, proto.Unreachable, 0, most},
		{1000, hub.CloseFull, proto.Busy, 0, most},
		{0, hub.CloseBadEvent, proto.Protocol, most, most},
		{0, hub.CloseNoMember, proto.Denied, 5 * time.Minute, 5 * time.Minute},
		{0, hub.CloseBadLogin, proto.Denied, 5 * time.Minute, 5 * time.Minute},
		{0, hub.CloseVersion, proto.Version, 5 * time.Minute, 5 * time.Minute},
		{0, -1, proto.Identity, 5 * time.Minute, 5 * time.Minute},
	} {
		low, high := time.Duration(1<<62), time.Duration(0)
		for range 1000 {
			d := agent.Pause(tt.tries, tt.closed, tt.code)
			low, high = min(low, d), max(high, d)
		}
		if low < tt.min || high > tt.max {
			t.Errorf("%d tries, close code %d, %v: got %v to %v, want %v to %v", tt.tries, tt.closed, tt.code, low, high, tt.min, tt.max)
		}
		if spread := tt.max - tt.min; high-low < spread/2 {
			t.Errorf("%d tries, close code %d: got %v to %v, want them spread over %v", tt.tries, tt.closed, low, high, spread)
		}
	}
}

// What a hub says about the time until it is back is bounded.
func TestGoAway(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		after, spread uint32
		min, max      time.Duration
	}{
		{0, 0, 0, time.Second},
		{2, 10, 2 * time.Second, 12*time.Second + 1},
		{1 << 31, 0, hub.MaxGoAwayAfter, hub.MaxGoAwayAfter + 1},
		{0, 1 << 31, 0, hub.MaxGoAwaySpread + 1},
		{1<<32 - 1, 1<<32 - 1, hub.MaxGoAwayAfter, hub.MaxGoAwayAfter + hub.MaxGoAwaySpread + 1},
	} {
		for range 100 {
			if got := agent.GoAwayWait(hub.GoAway{AfterS: tt.after, SpreadS: tt.spread}); got < tt.min || got > tt.max {
				t.Fatalf("goaway %d, %d: got %v, want %v to %v", tt.after, tt.spread, got, tt.min, tt.max)
			}
		}
	}
}

// The exit code of each code of a hub; one that is not known is a broken protocol.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]proto.Code{
		hub.CodeNotFound: proto.Unreachable, hub.CodeOffline: proto.Unreachable, hub.CodeTimeout: proto.Unreachable,
		hub.CodeLimit: proto.Busy, hub.CodeRateLimited: proto.Busy, hub.CodeDraining: proto.Busy, hub.CodeBusy: proto.Busy,
		hub.CodeCapability: proto.Capability, hub.CodeKind: proto.Capability,
		hub.CodeBadEvent: proto.Protocol, hub.CodeTooLarge: proto.Protocol, "nonsense": proto.Protocol,
		hub.CodeTaken: proto.Declined, hub.CodeReserved: proto.Declined, hub.CodeDeclined: proto.Declined,
		hub.CodeDenied: proto.Denied, hub.CodeUnsupported: proto.Version, hub.CodeBadName: proto.Usage,
	} {
		if got := agent.ExitCode(code); got != want {
			t.Errorf("%s: got %v, want %v", code, got, want)
		}
	}
}
