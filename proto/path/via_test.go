package path_test

import (
	"strings"
	"testing"

	"mesh/proto/path"
)

func TestParseVia(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "auto", "auto": "auto", "quic": "quic", "tcp": "tcp", "lan": "lan", "direct": "direct", "relay": "relay",
		"tcp,direct": "tcp,direct", "direct,tcp": "tcp,direct", "lan,quic": "quic,lan", "relay,tcp": "tcp,relay",
	} {
		v, err := path.ParseVia(text)
		if err != nil || v.String() != want {
			t.Errorf("%q: got %q (%v), want %q", text, v, err, want)
		}
		if again, err := path.ParseVia(v.String()); err != nil || again != v {
			t.Errorf("%q: got %v (%v) from its own text, want %v", text, again, err, v)
		}
	}
	for text, want := range map[string]string{
		"sctp": "none of auto, quic, tcp, lan, direct, relay", "TCP": "none of", " tcp": "none of", "tcp,": "none of", ",": "none of",
		"tcp,quic": "both transports", "tcp,tcp": "both transports", "lan,direct": "both kinds", "relay,relay": "both kinds",
		"auto,tcp": "stands alone", "tcp,lan,tcp": "both transports", "quic,relay": "runs over tcp", "relay,quic": "runs over tcp",
	} {
		if v, err := path.ParseVia(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v (%v), want an error with %q", text, v, err, want)
		}
	}
}

// somePaths are one path of each kind and transport.
var somePaths = map[string]path.Path{
	"lan tcp": {Kind: path.LAN, Proto: "tcp4"}, "lan quic": {Kind: path.LAN, Proto: "udp6"},
	"direct tcp": {Kind: path.Direct, Proto: "tcp6"}, "direct quic": {Kind: path.Direct, Proto: "udp4"},
	"punched tcp": {Kind: path.Punched, Proto: "tcp4"}, "punched quic": {Kind: path.Punched, Proto: "udp4"},
	"mapped tcp": {Kind: path.Mapped, Proto: "tcp4"}, "tunnel quic": {Kind: path.Tunnel, Proto: "udp4"},
	"relay": {Kind: path.Relay, Proto: "tcp", Relay: "hub.example:443"}, "relay wss": {Kind: path.Relay, Proto: "wss", Relay: "hub.example"},
}

func TestViaAllows(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"auto":        {"lan tcp", "lan quic", "direct tcp", "direct quic", "punched tcp", "punched quic", "mapped tcp", "tunnel quic", "relay", "relay wss"},
		"tcp":         {"lan tcp", "direct tcp", "punched tcp", "mapped tcp", "relay", "relay wss"},
		"quic":        {"lan quic", "direct quic", "punched quic", "tunnel quic"},
		"lan":         {"lan tcp", "lan quic"},
		"direct":      {"lan tcp", "lan quic", "direct tcp", "direct quic", "punched tcp", "punched quic", "mapped tcp", "tunnel quic"},
		"relay":       {"relay", "relay wss"},
		"tcp,direct":  {"lan tcp", "direct tcp", "punched tcp", "mapped tcp"},
		"quic,lan":    {"lan quic"},
		"tcp,relay":   {"relay", "relay wss"},
		"quic,direct": {"lan quic", "direct quic", "punched quic", "tunnel quic"},
	} {
		v := parseVia(t, text)
		allowed := make(map[string]bool)
		for _, name := range want {
			allowed[name] = true
		}
		anyDirect, anyRelay := false, false
		for name, p := range somePaths {
			if got := v.Allows(p); got != allowed[name] {
				t.Errorf("--via %s and the path %s: got %v, want %v", text, name, got, allowed[name])
			}
			anyDirect = anyDirect || p.Kind != path.Relay && v.Allows(p)
			anyRelay = anyRelay || p.Kind == path.Relay && v.Allows(p)
		}
		if direct, relayed := v.Reaches(); direct != anyDirect || relayed != anyRelay {
			t.Errorf("--via %s: Reaches says direct %v, relayed %v, and Allows %v, %v", text, direct, relayed, anyDirect, anyRelay)
		}
	}
}

// Both ends allow together what each of them allows.
func TestViaAnd(t *testing.T) {
	t.Parallel()
	all := []string{"auto", "tcp", "quic", "lan", "direct", "relay", "tcp,lan", "tcp,direct", "tcp,relay", "quic,lan", "quic,direct"}
	for _, a := range all {
		for _, b := range all {
			v, w := parseVia(t, a), parseVia(t, b)
			both, ok := v.And(w)
			allowed := false
			for name, p := range somePaths {
				want := v.Allows(p) && w.Allows(p)
				allowed = allowed || want
				if ok && both.Allows(p) != want {
					t.Errorf("%s and %s: %v allows the path %s: %v, want %v", a, b, both, name, both.Allows(p), want)
				}
			}
			if ok != allowed {
				t.Errorf("%s and %s: got %v, ok %v, want ok %v", a, b, both, ok, allowed)
			}
		}
	}
}

func parseVia(t *testing.T, text string) path.Via {
	t.Helper()
	v, err := path.ParseVia(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
