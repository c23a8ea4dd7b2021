//go:build unix

package main

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mesh/cmd/mesh/internal/attacker"
	"mesh/proto"
	"mesh/proto/linktest/forge"
)

// forgeries are what a stranger that sees the first packet of a QUIC handshake can
// answer. Each has the text "forged", which nobody may see.
var forgeries = map[string]func(forge.First) []byte{
	"version negotiation":    forge.First.VersionNegotiation,
	"close":                  forge.Close(0x1c, 0x0a, "\x1b[2Jforged"),
	"close of a tool":        forge.Close(0x1d, 0x4d1f-0x4000, "forged"),
	"refusal":                forge.Close(0x1c, 0x02, "forged"),
	"TLS alert":              forge.Close(0x1c, 0x12a, "forged"),
	"frame of another level": forge.Frames(0x08, 0, 1, 1),
}

// While a stranger forges answers, --wait goes on, and it reaches the peer afterwards.
func TestForgedAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range forgeries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// No other socket of the tests takes this port once it is closed: the
			// system chooses ports from 32768 on.
			var conn net.PacketConn
			poll(t, "a port", func() (ok bool) {
				var err error
				conn, err = net.ListenPacket("udp", fmt.Sprint("127.0.0.1:", 20000+rand.IntN(12000)))
				return err == nil
			})
			defer conn.Close()
			var answered atomic.Int64
			go forge.Answer(conn, func(f forge.First) []byte {
				answered.Add(1)
				return answer(f)
			})
			dir := t.TempDir()
			at := conn.LocalAddr().String()
			made := begin(t, dir, nil, "sh", "-c", "mesh-token new --addr "+at+" --allow send >tok")
			if got := made.code(t); got != proto.OK {
				t.Fatalf("mesh-token: %v: %s", got, made.stderr.Bytes())
			}
			began := time.Now()
			brief := begin(t, filepath.Dir(dir), nil, "mesh-cat", "--via", "quic", "--wait", "1500ms", "@"+filepath.Join(dir, "tok"))
			if got := brief.code(t); got != proto.Unreachable && got != proto.Busy {
				t.Errorf("mesh-cat ended with %v, want %v or %v: %s", got, proto.Unreachable, proto.Busy, brief.stderr.Bytes())
			}
			if took := time.Since(began); took < 1500*time.Millisecond {
				t.Errorf("--wait 1500ms ended after %v", took)
			}
			before := answered.Load()
			patient := begin(t, filepath.Dir(dir), nil, "mesh-cat", "--via", "quic", "--wait", "50s", "@"+filepath.Join(dir, "tok"))
			poll(t, "forged answers", func() bool { return answered.Load() >= before+2 })
			conn.Close()
			recv := begin(t, dir, nil, "mesh-recv", "--listen", at)
			for who, p := range map[string]*aTool{"mesh-cat": patient, "mesh-recv": recv} {
				if got := p.code(t); got != proto.OK {
					t.Errorf("%s ended with %v: %s", who, got, p.stderr.Bytes())
				}
			}
			for _, text := range []string{brief.stderr.String(), patient.stderr.String()} {
				if strings.Contains(text, "forged") || strings.Contains(text, "\x1b") {
					t.Errorf("the text of a stranger is printed: %q", text)
				}
			}
		})
	}
}

// A copied certificate without its key does not make its holder the peer: neither a listener
// at the address of a token, nor a dialer with the certificate of an allowed node.
func TestCopiedCertificate(t *testing.T) {
	t.Parallel()
	for _, via := range []string{"tcp", "quic"} {
		t.Run(via, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			begin(t, dir, nil, "mesh-listen", "--listen", "127.0.0.1:0", "--token-file", "tok")
			tok := tokenIn(t, filepath.Join(dir, "tok"))
			real, err := attacker.Dial(t.Context(), via, tok.Addrs[0], anyListener())
			if err != nil {
				t.Fatal(err)
			}
			copied := real.Copied()
			real.Close(0x4d00)
			liar, err := attacker.Listen("127.0.0.1:0", copied)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(liar.Close)
			tok.Addrs = []netip.AddrPort{liar.Addr}
			cat := begin(t, t.TempDir(), nil, "mesh-cat", "--via", via, tok.Encode())
			if got := cat.code(t); got != proto.Identity {
				t.Errorf("mesh-cat ended with %v, want %v: %s", got, proto.Identity, cat.stderr.Bytes())
			}
		})
		t.Run(via+" dialer", func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			// The node calls the attacker once, which is enough to copy its certificate.
			key := attacker.NewKey()
			trap, err := attacker.Listen("127.0.0.1:0", attacker.Certificate(key))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(trap.Close)
			begin(t, t.TempDir(), nil, "mesh-cat", "--via", via, attacker.NewToken(key, 1, trap.Addr).Encode())
			called, err := trap.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			own := attacker.Config(attacker.Certificate(key))
			own.InsecureSkipVerify = true
			for _, id := range []string{attacker.NodeID(called.Peer()), attacker.NodeID(key.Public().(ed25519.PublicKey))} {
				allow := begin(t, dir, nil, "mesh-token", "allow", id, "send")
				if got := allow.code(t); got != proto.OK {
					t.Fatalf("mesh-token ended with %v: %s", got, allow.stderr.Bytes())
				}
			}
			recv := begin(t, dir, nil, "mesh-recv", "--listen", "127.0.0.1:0", "--token-file", "tok")
			tok := tokenIn(t, filepath.Join(dir, "tok"))
			settings := anyListener()
			settings.Certificates[0] = called.Copied()
			if _, err := attacker.CallByKey(t.Context(), via, tok.Addrs[0], settings, called.Peer(), "send"); err == nil {
				t.Fatal("the listener took a certificate without its key")
			}
			l, err := attacker.CallByKey(t.Context(), via, tok.Addrs[0], own, key.Public().(ed25519.PublicKey), "send")
			if err == nil {
				err = firstOf(l.Meta("pipe"), l.Done())
				l.Finish()
			}
			if got := recv.code(t); got != proto.OK || err != nil {
				t.Errorf("with its own key: %v; mesh-recv ended with %v: %s", err, got, recv.stderr.Bytes())
			}
		})
	}
}

// A stranger that has not proven its token in time is closed, however far it got.
func TestSlowStrangers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	begin(t, dir, nil, "mesh-listen", "--listen", "127.0.0.1:0", "--token-file", "tok", "--ttl", "2h") // longer than subtests wait for their turn
	tok := tokenIn(t, filepath.Join(dir, "tok"))
	for name, say := range map[string]string{"silent": "", "part of a ClientHello": "\x16\x03\x01\x02\x00\x01"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", tok.Addrs[0].String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, err = io.WriteString(c, say)
			_ = c.SetReadDeadline(time.Now().Add(2 * proto.HelloTimeout))
			if _, late := c.Read(make([]byte, 1)); err != nil || os.IsTimeout(late) {
				t.Errorf("got %v and %v, want the connection closed in %v", err, late, proto.HelloTimeout)
			}
		})
	}
	for _, via := range []string{"tcp", "quic"} {
		for name, hello := range map[string]string{"no P2P_HELLO": "", "part of P2P_HELLO": "\x00\x00\x01\x00\x01{"} {
			t.Run(via+" "+name, func(t *testing.T) {
				t.Parallel()
				c, err := attacker.Dial(t.Context(), via, tok.Addrs[0], anyListener())
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				_, err = io.WriteString(c, hello)
				if _, end := io.ReadAll(c); err != nil || proto.Code(attacker.Status(end)) != proto.Timeout {
					t.Errorf("got %v and %v, want the connection closed with %v", err, end, proto.Timeout)
				}
				if took := time.Since(began); took > 2*proto.HelloTimeout {
					t.Errorf("closed after %v, want %v", took, proto.HelloTimeout)
				}
			})
		}
	}
}

// A dialer that knows all of a token but its secret is denied, and so is one that claims
// more rights than its token has.
func TestWrongSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	recv := begin(t, dir, nil, "mesh-recv", "--listen", "127.0.0.1:0", "--token-file", "tok")
	made := begin(t, dir, nil, "sh", "-c", "mesh-token new --addr 127.0.0.1:1 --allow send >signed")
	if got := made.code(t); got != proto.OK {
		t.Fatalf("mesh-token: %v: %s", got, made.stderr.Bytes())
	}
	tok := tokenIn(t, filepath.Join(dir, "tok"))
	guess, signed := tok, tokenIn(t, filepath.Join(dir, "signed"))
	guess.Secret = make([]byte, len(tok.Secret))
	signed.Addrs = tok.Addrs
	unsigned, more := signed, signed
	unsigned.Secret = make([]byte, len(signed.Secret))
	more.Claims = bytes.Clone(signed.Claims)
	more.Claims[41] = 0xf // all capabilities
	for name, tok := range map[string]attacker.Token{"session": guess, "signed": unsigned, "more rights": more} {
		_, err := attacker.Call(t.Context(), "tcp", tok, anyListener(), "send", "")
		if class, ok := errors.AsType[attacker.Denied](err); !ok || class != "denied" {
			t.Errorf("%s: got %v, want it denied", name, err)
		}
	}
	l, err := attacker.Call(t.Context(), "tcp", signed, anyListener(), "send", "")
	if err == nil {
		err = firstOf(l.Meta("pipe"), l.Done())
		l.Finish()
	}
	if got := recv.code(t); err != nil || got != proto.OK {
		t.Errorf("with the secret: got %v; mesh-recv ended with %v: %s", err, got, recv.stderr.Bytes())
	}
}
