package doctor

import (
	"strings"
	"testing"
)

// Each address, name and node id has a placeholder, the same one wherever it stands. Other
// numbers stay.
func TestRedact(t *testing.T) {
	t.Parallel()
	r := Report{
		names: []name{{"hub", "hub.example"}, {"relay", "a.hub.example"}, {"issuer", "Acme Co CA"}, {"proxy", "10.0.0.1"}, {"node", "bob"}},
		Lines: []Line{
			{Text: "eth0 192.168.7.4/24 fd00::5/64, MTU 1500"},
			{Text: "IPv4 from 192.168.7.4 (private), IPv6 from 2001:db8::1"},
			{Hub: "hub.example", Text: "dial tcp 203.0.113.1:443: connection refused; [2001:db8::1]:443 in 0.384 ms"},
			{Hub: "hub.example", Text: "tcp a.hub.example:443, wss hub.example:443, hub.example."},
			{Text: "lookup hub.example on 10.0.0.53:53: no such host"},
			{Text: "http://10.0.0.1:3128; 100.64.1.2; fe80::1%eth0; 127.0.0.1:80; ::1"},
			{Text: `certificate by "Acme Co CA", name bob, bobsled, notbob, xhub.example`, Hint: "mesh-hub member add mk1aaaaaaaabbbbbbbb"},
			{Text: "HTTP status 204, TLS 1.3, from 2026-11-29 18:53 to 12:30, a.b: no, #mk1…"},
			{Text: "::ffff:192.168.7.4"},
		},
	}
	const want = `eth0 <private-ipv4-1>/24 <private-ipv6-1>/64, MTU 1500
IPv4 from <private-ipv4-1> (private), IPv6 from <public-ipv6-1>
<hub-1> dial tcp <public-ipv4-1>:443: connection refused; <public-ipv6-1>:443 in 0.384 ms
<hub-1> tcp <relay-1>:443, wss <hub-1>:443, <hub-1>.
lookup <hub-1> on <private-ipv4-2>:53: no such host
http://<private-ipv4-3>:3128; <shared-ipv4-1>; <link-local-ipv6-1>; 127.0.0.1:80; ::1
certificate by "<issuer-1>", name <node-1>, bobsled, notbob, xhub.example mesh-hub member add <node-2>
HTTP status 204, TLS 1.3, from 2026-11-29 18:53 to 12:30, a.b: no, #mk1…
<private-ipv4-1>`
	var got []string
	for _, l := range r.Redact().Lines {
		got = append(got, strings.TrimSpace(strings.Join([]string{l.Hub, l.Text, l.Hint}, " ")))
	}
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if r.Lines[0].Text != "eth0 192.168.7.4/24 fd00::5/64, MTU 1500" {
		t.Error("the report itself is changed")
	}
}
