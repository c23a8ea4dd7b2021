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

	"mesh/proto/identity"
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
	wantFile(t, vectorsFile, want.String())
}

// wantFile compares a file with what this version makes, or writes it anew.
func wantFile(t *testing.T, name, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, []byte(want)) {
		t.Errorf("%s differs from what this version makes:\n%s\nwant:\n%s", name, got, want)
	}
}

// lanVectorsFile holds messages that other implementations can test themselves with. A
// change of one is a change of the protocol.
const lanVectorsFile = "testdata/lan.txt"

const lanVectorsHeader = `# Test vectors of the protocol mesh-lan/1: questions in local networks and their answers.
# They are described in mesh-protocol(7), the section "Local networks".
#
# An entry is lines "name: value" and ends with an empty line. Text is in hexadecimal.
#   node      the id of the node that is asked for
#   nonce     the nonce of the question
#   question  the UDP payload of the question
#   port      the port at which the node listens, in decimal
#   answer    the UDP payload of the answer

`

func TestLANVectors(t *testing.T) {
	t.Parallel()
	var want strings.Builder
	want.WriteString(lanVectorsHeader)
	for i, port := range []uint16{4600, 1, 65535} {
		var id identity.ID
		var nonce [16]byte
		for at := range id {
			id[at] = byte(at*7 + i*31)
		}
		for at := range nonce {
			nonce[at] = byte(0xf0 - at*3 - i)
		}
		question, answer := nat.LANQuestion(id, nonce), nat.LANAnswer(id, nonce, port)
		if got, ok := nat.ParseLANQuestion(question, id); !ok || got != nonce {
			t.Errorf("question for port %d: got nonce %x, %v, want %x", port, got, ok, nonce)
		}
		if got, ok := nat.ParseLANAnswer(answer, id, nonce); !ok || got != port {
			t.Errorf("answer: got port %d, %v, want %d", got, ok, port)
		}
		fmt.Fprintf(&want, "node: %x\nnonce: %x\nquestion: %x\nport: %d\nanswer: %x\n\n", id[:], nonce, question, port, answer)
	}
	wantFile(t, lanVectorsFile, want.String())
}
