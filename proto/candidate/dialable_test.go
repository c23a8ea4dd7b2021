package candidate_test

import (
	"testing"

	"mesh/proto/candidate"
)

func TestDialable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		proto candidate.Proto
		addr  string
		local bool
		want  bool
	}{
		{candidate.UDP, "192.0.2.7:4600", false, true},
		{candidate.TCP, "[2001:db8::7]:4600", false, true},
		{candidate.TCP, "10.0.0.7:4600", false, true},
		{candidate.UDP, "127.0.0.1:4600", false, false},
		{candidate.UDP, "127.0.0.1:4600", true, true},
		{candidate.UDP, "[::1]:4600", false, false},
		{candidate.UDP, "[::1]:4600", true, true},
		{candidate.UDP, "[64:ff9b::7f00:1]:4600", false, false},
		{candidate.UDP, "[64:ff9b::7f00:1]:4600", true, false},
		{candidate.UDP, "[::ffff:127.0.0.1]:4600", false, false},
		{candidate.UDP, "[::ffff:0.1.2.3]:4600", false, false},
		{candidate.UDP, "[::ffff:240.0.0.1]:4600", false, false},
		{candidate.UDP, "[64:ff9b::c000:207]:4600", false, true},
		{candidate.UDP, "0.0.0.0:4600", true, false},
		{candidate.UDP, "0.1.2.3:4600", false, false},
		{candidate.UDP, "[::]:4600", true, false},
		{candidate.UDP, "224.0.0.1:4600", false, false},
		{candidate.UDP, "[ff02::1]:4600", false, false},
		{candidate.UDP, "255.255.255.255:4600", false, false},
		{candidate.UDP, "240.0.0.1:4600", false, false},
		{candidate.UDP, "169.254.169.254:4600", false, false},
		{candidate.UDP, "[fe80::1]:4600", false, false},
		{candidate.TCP, "10.0.0.7:22", false, false},
		{candidate.TCP, "10.0.0.7:443", false, true},
		{candidate.TCP, "10.0.0.7:80", false, true},
		{candidate.UDP, "10.0.0.7:53", false, true},
		{candidate.UDP, "host.example:4600", false, false},
	} {
		c := candidate.Candidate{Type: candidate.Host, Proto: tt.proto, Addr: tt.addr, Priority: 1}
		if got := c.Dialable(tt.local); got != tt.want {
			t.Errorf("%s, local %v: got %v, want %v", c, tt.local, got, tt.want)
		}
	}
	relay := candidate.Candidate{Type: candidate.Relay, Proto: candidate.TCP, Addr: "192.0.2.7:443"}
	if relay.Dialable(true) {
		t.Errorf("%s: got true, want false", relay)
	}
}
