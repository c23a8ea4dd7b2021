package link_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"mesh/proto"
	"mesh/proto/handshake"
	"mesh/proto/identity"
	"mesh/proto/link"
	"mesh/proto/linktest"
	"mesh/proto/token"
	"mesh/proto/wire"
)

const latency = 5 * time.Millisecond

// site is a node that listens, with a registry in a folder of its own. It is the
// listener's guard, so that it can count and delay the calls.
type site struct {
	endpoint *link.Endpoint
	listener *link.Listener
	registry *token.Registry
	key      *identity.Key
	dir      string
	asked    atomic.Int32
	hold     chan struct{}          // if not nil, answers wait until it is closed
	checks   atomic.Pointer[func()] // if not nil, called in CheckAccess
	finds    atomic.Pointer[func()] // if not nil, called before each answer
}

func (s *site) Find(h *wire.Hello, dialer identity.ID) (token.Admission, error) {
	s.asked.Add(1)
	if s.hold != nil {
		<-s.hold
	}
	if f := s.finds.Load(); f != nil {
		(*f)()
	}
	return s.registry.Find(h, dialer)
}

func (s *site) CheckAccess(dialer identity.ID, id *token.ID, granted proto.Caps) error {
	if f := s.checks.Load(); f != nil {
		(*f)()
	}
	return s.registry.CheckAccess(dialer, id, granted)
}

func (s *site) addr() string { return s.endpoint.Addr().String() }

// issue returns the credential of a new session token, and the token.
func (s *site) issue(t *testing.T, caps proto.Caps, ttl time.Duration, uses uint16) (token.Credential, token.Token) {
	t.Helper()
	tok, err := s.registry.Issue(caps, ttl, uses, []string{s.addr()})
	if err != nil {
		t.Fatal(err)
	}
	return tok.Credential(), tok
}

func (s *site) target(cred token.Credential, caps proto.Caps) link.Target {
	return link.Target{ID: s.key.ID(), Addrs: []string{s.addr()}, Credential: cred, Want: caps, Need: caps}
}

func (s *site) accept(t *testing.T) *link.Link {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l, err := s.listener.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// acceptNone fails the test if a link comes within a second.
func (s *site) acceptNone(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if l, err := s.listener.Accept(ctx); err == nil {
		t.Errorf("listener accepted a link of %s, want none", l.Peer.Short())
	}
}

// dial makes both ends of a link.
func (s *site) dial(t *testing.T, from *link.Endpoint, cred token.Credential, caps proto.Caps) (dialer, listener *link.Link) {
	t.Helper()
	dialer, err := from.Dial(t.Context(), s.target(cred, caps))
	if err != nil {
		t.Fatal(err)
	}
	return dialer, s.accept(t)
}

func newSite(t *testing.T, n *linktest.Net, offer proto.Caps, places int) *site {
	t.Helper()
	return newSiteOf(t, n, offer, places, 0)
}

// newSiteOf is newSite with a number of places for each node.
func newSiteOf(t *testing.T, n *linktest.Net, offer proto.Caps, places, perPeer int) *site {
	t.Helper()
	return newSiteWith(t, n, link.ListenOptions{Offer: offer, Max: places, MaxPerPeer: perPeer})
}

// newSiteWith is newSite with other options, but for those that are the same for all.
func newSiteWith(t *testing.T, n *linktest.Net, o link.ListenOptions) *site {
	t.Helper()
	e, key := n.Endpoint(t)
	s := &site{endpoint: e, key: key, dir: t.TempDir()}
	s.registry = token.NewRegistry(key, identity.Book{Dir: s.dir})
	var err error
	o.Guard, o.Takes = s, func(kind string) bool { return kind != wire.KindFiles }
	if s.listener, err = e.Listen(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.listener.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// echo checks that a link carries bytes both ways.
func echo(t *testing.T, a, b *link.Link) {
	t.Helper()
	for _, ends := range [][2]*link.Link{{a, b}, {b, a}} {
		want := []byte("over the link")
		if _, err := ends[0].Write(want); err != nil {
			t.Fatalf("write: %v", err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(ends[1], got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read %q (%v), want %q", got, err, want)
		}
	}
}

// certificate returns a node key's own certificate.
func certificate(t *testing.T, key *identity.Key) tls.Certificate {
	t.Helper()
	cert, err := key.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// tlsConf is the TLS configuration of a foreign program that offers mesh/1 with the
// given certificate and verifies nothing.
func tlsConf(certs ...tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{proto.ALPN},
		Certificates:       certs,
		ClientAuth:         tls.RequestClientCert,
		InsecureSkipVerify: true,
	}
}

// rawConf is the QUIC configuration of a foreign program, whose connections never time
// out.
func rawConf() *quic.Config {
	return &quic.Config{MaxIdleTimeout: time.Hour, KeepAlivePeriod: time.Second, EnableDatagrams: true}
}

// transport returns a new host's transport.
func transport(t *testing.T, n *linktest.Net) *quic.Transport {
	t.Helper()
	conn := n.Conn(t)
	tr := &quic.Transport{Conn: conn}
	t.Cleanup(func() {
		tr.Close()
		conn.Close()
	})
	return tr
}

// dialRaw makes a QUIC connection from a new host that runs a foreign program.
func dialRaw(t *testing.T, n *linktest.Net, s *site, conf *tls.Config) *quic.Conn {
	t.Helper()
	conn, err := transport(t, n).Dial(t.Context(), s.endpoint.Addr(), conf, rawConf())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// serveRaw runs f for each connection to a new host that runs a foreign program, and
// returns the host's address.
func serveRaw(t *testing.T, n *linktest.Net, conf *tls.Config, f func(context.Context, *quic.Conn)) string {
	t.Helper()
	tr := transport(t, n)
	ql, err := tr.Listen(conf, rawConf())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		ql.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			conn, err := ql.Accept(ctx)
			if err != nil {
				return
			}
			wg.Go(func() { f(ctx, conn) })
		}
	})
	return tr.Conn.LocalAddr().String()
}

// bindingOf returns the binding of a foreign program's connection.
func bindingOf(t *testing.T, conn *quic.Conn, dialer, listener identity.ID) handshake.Binding {
	t.Helper()
	state := conn.ConnectionState().TLS
	x, err := state.ExportKeyingMaterial(proto.ExporterLabel, nil, proto.ExporterBytes)
	if err != nil {
		t.Fatal(err)
	}
	return handshake.Binding{Exporter: x, Dialer: dialer, Listener: listener}
}

// helloFor makes the P2P_HELLO frame of a valid dialer.
func helloFor(t *testing.T, b handshake.Binding, cred token.Credential, want proto.Caps) (*handshake.Dialer, []byte) {
	t.Helper()
	d, err := handshake.NewDialer(b, cred, want, wire.KindPipe, proto.WindowBytes, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	return d, append(wire.AppendHeader(nil, wire.Header{Type: wire.TypeHello, Bytes: len(d.Hello)}), d.Hello...)
}

// say opens the stream, sends a frame and reads the answer.
func say(t *testing.T, conn *quic.Conn, frame []byte) (*quic.Stream, wire.Type, []byte, error) {
	t.Helper()
	stream, err := conn.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Write(frame); err != nil {
		return stream, 0, nil, err
	}
	typ, body, err := wire.ReadFrame(stream, wire.TypeOK, wire.TypeDeny)
	return stream, typ, body, err
}

// wantClosed checks that the listener closes a connection with one of the given
// codes within a time.
func wantClosed(t *testing.T, conn *quic.Conn, within time.Duration, want ...proto.Code) {
	t.Helper()
	select {
	case <-conn.Context().Done():
	case <-time.After(within):
		t.Fatalf("connection is open after %s, want it closed with %v", within, want)
	}
	err := context.Cause(conn.Context())
	e, ok := errors.AsType[*quic.ApplicationError](err)
	if !ok || !e.Remote || !slices.Contains(want, proto.CodeFromWire(uint64(e.ErrorCode))) {
		t.Errorf("closed with %v, want the peer's code for %v", err, want)
	}
}
