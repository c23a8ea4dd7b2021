package link_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/token"
	"mesh/proto/wire"
	"mesh/proto/xtest"
)

// The errors of a dialer that reaches a foreign program.
func TestTCPStrangeServers(t *testing.T) {
	t.Parallel()
	type stranger struct {
		conf *tls.Config
		says string // instead of TLS
		flip bool   // the last bit of all that it writes
		want proto.Code
	}
	key := xtest.NewKey(t)
	other := tlsConf(certificate(t, key))
	other.NextProtos = []string{"mesh/2"}
	none := tlsConf(certificate(t, key))
	none.NextProtos = nil
	old := tlsConf(certificate(t, key))
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	cases := map[string]stranger{
		"other key":       {conf: tlsConf(certificate(t, xtest.NewKey(t))), want: proto.Identity},
		"no certificate":  {conf: tlsConf(), want: proto.Identity},
		"other ALPN":      {conf: other, want: proto.Version},
		"no ALPN":         {conf: none, want: proto.Version},
		"SSH":             {says: "SSH-2.0-OpenSSH_9.9\r\n", want: proto.Protocol},
		"HTTP":            {says: "HTTP/1.1 400 Bad Request\r\n\r\n", want: proto.Protocol},
		"noise":           {says: string(bytes.Repeat([]byte{0xa5}, 70_000)), want: proto.Protocol},
		"TLS data":        {says: "\x17\x03\x03\x00\x10" + string(make([]byte, 16)), want: proto.Protocol},
		"no server hello": {says: "\x16\x03\x03\x00\x04\x14\x00\x00\x00", want: proto.Protocol},
		"nothing":         {want: proto.Busy},
		// It may pass, unlike the others: QUIC would drop such a packet.
		"flipped bit": {conf: tlsConf(certificate(t, key)), flip: true, want: proto.Unreachable},
	}
	for name, certs := range strangeCertificates(t) {
		cases["certificate "+name] = stranger{conf: tlsConf(certs...), want: proto.Identity}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			overTCP(t, func(t *testing.T, n *linktest.Net) {
				addr := serveTCP(t, n, func(raw net.Conn) {
					if c.conf == nil {
						_, _ = io.WriteString(raw, c.says)
						if c.says != "" {
							_, _ = io.Copy(io.Discard, raw)
						}
						return
					}
					if c.flip {
						raw = flipping{raw}
					}
					conn := tls.Server(raw, c.conf)
					if got, _ := io.ReadAll(conn); len(got) != 0 {
						t.Errorf("dialer said %x, want nothing", got)
					}
				})
				e, _ := n.Endpoint(t)
				begun := time.Now()
				_, err := e.Dial(t.Context(), link.Target{ID: key.ID(), Addrs: []string{addr}, Credential: token.KeyCredential(), Want: proto.CapSend})
				xtest.WantCode(t, "dial", err, c.want)
				if took := time.Since(begun); took > time.Second {
					t.Errorf("took %s, want less than a second", took)
				}
			})
		})
	}
}

// flipping corrupts one bit of each write.
type flipping struct{ net.Conn }

func (f flipping) Write(p []byte) (int, error) {
	p = bytes.Clone(p)
	p[len(p)-1] ^= 1
	return f.Conn.Write(p)
}

// A host accepts connections and sends nothing.
func TestTCPSilentServer(t *testing.T) {
	t.Parallel()
	overTCP(t, func(t *testing.T, n *linktest.Net) {
		addr := serveTCP(t, n, func(raw net.Conn) { _, _ = io.Copy(io.Discard, raw) })
		e, _ := n.Endpoint(t)
		begun := time.Now()
		_, err := e.Dial(t.Context(), link.Target{ID: xtest.NewKey(t).ID(), Addrs: []string{addr}, Credential: token.KeyCredential(), Want: proto.CapSend})
		xtest.WantCode(t, "dial", err, proto.Unreachable)
		if took := time.Since(begun); took > proto.DialTimeout+time.Second {
			t.Errorf("took %s, want %s", took, proto.DialTimeout)
		}
	})
}

// A listener ends the connection of a foreign program, and no other.
func TestTCPStrangeClients(t *testing.T) {
	t.Parallel()
	key := xtest.NewKey(t)
	good := tlsConf(certificate(t, key))
	configs := map[string]*tls.Config{"no certificate": tlsConf()}
	for name, certs := range strangeCertificates(t) {
		configs["certificate "+name] = tlsConf(certs...)
	}
	for name, protocols := range map[string][]string{"other ALPN": {"mesh/2"}, "no ALPN": nil} {
		conf := good.Clone()
		conf.NextProtos = protocols
		configs[name] = conf
	}
	blocks := map[string]string{
		"4 GiB":         "\xff\xff\xff\xff",
		"too long":      "\x00\x10\x00\x01",
		"no such code":  "\x00\x00\x00\x00\x00\x00\x00\x7f",
		"end":           "\x00\x00\x00\x00\x00\x00\x00\x00",
		"no such frame": "\x00\x00\x00\x05\x00\x00\x00\x00\xee",
		"huge frame":    "\x00\x00\x00\x05\xff\xff\xff\xff\x01",
		"end in HELLO":  "\x00\x00\x00\x05\x00\x00\x00\x09\x01\x00\x00\x00\x00\x00\x00\x00\x00",
	}
	overTCP(t, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 2)
		cred, _ := s.issue(t, proto.CapSend, 0, 0)
		e, _ := n.Endpoint(t)
		dl, ll := s.dial(t, e, cred, proto.CapSend)
		asked := s.asked.Load()
		for name, conf := range configs {
			conn := tls.Client(connect(t, n.Sockets(t), s), conf)
			_ = conn.Handshake() // in TLS 1.3 the client is done before its certificate is looked at
			wantHungUp(t, name, conn, 2*time.Second)
		}
		for _, noise := range []string{"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x80\x01", string(make([]byte, 300_000))} {
			raw := connect(t, n.Sockets(t), s)
			_, _ = io.WriteString(raw, noise)
			wantHungUp(t, fmt.Sprintf("noise %.10q", noise), raw, 2*time.Second)
		}
		for name, block := range blocks {
			conn := connectTLS(t, n.Sockets(t), s, good)
			if _, err := io.WriteString(conn, block); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 8)
			if _, err := io.ReadFull(conn, got); err != nil || uint64(binary.BigEndian.Uint64(got)) != proto.Protocol.Wire() {
				t.Errorf("%s: got %x (%v), want the closing with %v", name, got, err, proto.Protocol)
			}
			conn.NetConn().Close()
		}
		for name, block := range map[string]string{"closing": "\x00\x00\x00\x00\x00\x00\x4d\x00", "silent end": "", "part of a block": "\x00\x00\x00"} {
			conn := connectTLS(t, n.Sockets(t), s, good)
			_, _ = io.WriteString(conn, block)
			if err := conn.NetConn().(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			wantHungUp(t, name, conn.NetConn(), 2*time.Second)
		}
		if got := s.asked.Load(); got != asked {
			t.Errorf("listener judged %d P2P_HELLOs of strangers, want none", got-asked)
		}
		echo(t, dl, ll)
		s.dial(t, e, cred, proto.CapSend)
	})
}

// A man in the middle that terminates TLS on both sides can only show its own key, and
// one that forwards TLS sees nothing.
func TestTCPManInTheMiddle(t *testing.T) {
	t.Parallel()
	overTCP(t, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		e, _ := n.Endpoint(t)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		his := tlsConf(certificate(t, xtest.NewKey(t)))
		up := connectTLS(t, n.Sockets(t), s, his)
		var relayed atomic.Int64
		addr := serveTCP(t, n, func(raw net.Conn) {
			down := tls.Server(raw, his)
			k, _ := io.Copy(up, down)
			relayed.Add(k)
		})
		target := s.target(cred, proto.CapSend)
		target.Addrs = []string{addr}
		_, err := e.Dial(t.Context(), target)
		xtest.WantCode(t, "dial through the relay", err, proto.Identity)
		s.acceptNone(t)
		if got := relayed.Load(); got != 0 || s.asked.Load() != 0 {
			t.Errorf("relay saw %d bytes and the listener %d P2P_HELLOs, want none", got, s.asked.Load())
		}
		s.dial(t, e, cred, proto.CapSend)
	})
}

// A proof for the pin of a man in the middle is denied by the listener.
func TestTCPManInTheMiddleWithItsPin(t *testing.T) {
	t.Parallel()
	overTCP(t, func(t *testing.T, n *linktest.Net) {
		s := newSite(t, n, proto.AllCaps, 1)
		e, _ := n.Endpoint(t)
		cred, _ := s.issue(t, proto.CapSend, 0, 1)
		key := xtest.NewKey(t)
		his := tlsConf(certificate(t, key))
		up := connectTLS(t, n.Sockets(t), s, his)
		addr := serveTCP(t, n, func(raw net.Conn) {
			down := tls.Server(raw, his)
			go func() { _, _ = io.Copy(up, down) }()
			_, _ = io.Copy(down, up)
		})
		target := s.target(cred, proto.CapSend)
		target.ID, target.Addrs = key.ID(), []string{addr}
		_, err := e.Dial(t.Context(), target)
		xtest.WantCode(t, "dial of the relay", err, proto.Denied)
		if got := s.asked.Load(); got != 1 {
			t.Errorf("listener judged %d P2P_HELLOs, want the one that was relayed", got)
		}
		s.acceptNone(t)
		s.dial(t, e, cred, proto.CapSend)
	})
}

func TestTCPStolenProof(t *testing.T) {
	t.Parallel()
	for _, sameKey := range []bool{false, true} {
		t.Run(fmt.Sprintf("own key %v", sameKey), func(t *testing.T) {
			t.Parallel()
			overTCP(t, func(t *testing.T, n *linktest.Net) {
				s := newSite(t, n, proto.AllCaps, 1)
				cred, _ := s.issue(t, proto.CapSend, 0, 1)
				victim := xtest.NewKey(t)
				honest := connectBlocks(t, n.Sockets(t), s, tlsConf(certificate(t, victim)))
				_, frame := helloFor(t, bindingOver(t, honest.TLS(), victim.ID(), s.key.ID()), cred, proto.CapSend)
				thief := xtest.NewKey(t)
				if sameKey {
					thief = victim
				}
				conn := connectBlocks(t, n.Sockets(t), s, tlsConf(certificate(t, thief)))
				typ, body, err := sayBlocks(conn, frame)
				if want := `{"class":"denied"}`; err != nil || typ != wire.TypeDeny || string(body) != want {
					t.Errorf("thief was answered %s %s (%v), want P2P_DENY %s", typ, body, err, want)
				}
				_, err = conn.Read(make([]byte, 1))
				wantClosing(t, "read behind P2P_DENY", err, proto.Denied)
				conn.Close(proto.CodeBase, nil)
				s.acceptNone(t)

				if typ, body, err = sayBlocks(honest, frame); err != nil || typ != wire.TypeOK {
					t.Errorf("true dialer was answered %s %s (%v), want P2P_OK", typ, body, err)
				}
				if l := s.accept(t); l.Peer != victim.ID() {
					t.Errorf("listener accepted %s, want %s", l.Peer.Short(), victim.ID().Short())
				}
			})
		})
	}
}
