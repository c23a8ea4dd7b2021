package nat_test

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"mesh/proto/nat"
)

var update = flag.Bool("update", false, "write the vectors anew")

// vectorsFile holds checks that other implementations can test themselves with. A change
// of one is a change of the protocol.
const vectorsFile = "testdata/checks.txt"

const vectorsHeader = `# Test vectors of the protocol mesh/1: checks of connectivity and their answers.
# They are described in mesh-protocol(7), the section "Holes in routers".
#
# An entry is lines "name: value" and ends with an empty line.
#   session   the id of the session, in hexadecimal
#   key       the punch key of the end that asks, in hexadecimal
#   id        the transaction id of the request, in hexadecimal
#   request   the request, in hexadecimal
#   from      the address from which the other end gets the request
#   answer    the answer of the other end, in hexadecimal

`

func TestVectors(t *testing.T) {
	t.Parallel()
	var want strings.Builder
	want.WriteString(vectorsHeader)
	for i, tt := range []struct{ name, from string }{
		{"over IPv4", "192.0.2.7:4600"},
		{"over IPv6", "[2001:db8::7]:4600"},
	} {
		session := nat.Session{ID: [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, Own: [32]byte{31: byte(1 + i)}}
		id := [12]byte{2: 6, 3: 0x43, 7: byte(i), 8: 0xaa, 11: 0xbb}
		request := nat.CheckVector(session, id)
		synctest.Test(t, func(t *testing.T) {
			s, m := newSocket(t)
			m.Check(nat.Session{ID: session.ID, Own: [32]byte{9}, Peer: session.Own})
			s.deliver(request, netip.MustParseAddrPort(tt.from))
			_, answers := s.take()
			if len(answers) != 1 {
				t.Fatalf("%s: got %d answers, want 1", tt.name, len(answers))
			}
			fmt.Fprintf(&want, "name: %s\nsession: %x\nkey: %x\nid: %x\nrequest: %x\nfrom: %s\nanswer: %x\n\n",
				tt.name, session.ID, session.Own, id, request, tt.from, answers[0].b)
		})
	}
	if *update {
		if err := os.WriteFile(vectorsFile, []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, []byte(want.String())) {
		t.Errorf("%s differs from what this version makes:\n%s\nwant:\n%s", vectorsFile, got, want.String())
	}
}
