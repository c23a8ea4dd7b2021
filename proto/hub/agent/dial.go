package agent

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/proto/relay"
)

// loginTimeout bounds connecting and logging in.
const loginTimeout = 15 * time.Second

// Options name the hub, and the node that logs in.
type Options struct {
	URL hub.URL
	Key *identity.Key
	// Instance names this process; [hub.NewID] makes it.
	Instance hub.ID
	// Agent is the program's name and version.
	Agent string
	// Invite, if it is set, makes the node a member.
	Invite *hub.Invite
	// Vouchers, if it is set, returns the vouchers to show at a hub: at each login, and
	// with each request.
	Vouchers func(hub identity.ID) []string
	// DialContext makes the connections; nil stands for a [net.Dialer].
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// Proxy returns the proxy for a request, as [http.Transport] has it; nil stands for
	// [http.ProxyFromEnvironment].
	Proxy func(*http.Request) (*url.URL, error)
	// Changed, if it is set, returns a channel that is closed at the next change of this
	// machine's network. The hub is pinged then, and connected anew if it does not answer
	// soon.
	Changed func() <-chan struct{}
	// Heard, if it is set, is told when the connection is made, and whenever something comes
	// from the hub. It must not block.
	Heard func()
	// Log may be nil.
	Log *slog.Logger

	// greeted, if it is set, is told the connection once the hello is sent. Events may be
	// sent there from then on, and the answers come when the hub has let this node in.
	greeted func(*Conn)
}

func (o Options) nextChange() <-chan struct{} {
	if o.Changed == nil {
		return nil
	}
	return o.Changed()
}

// Dial connects to a hub and logs in. Errors have the code [proto.Unreachable] if nothing
// answers, [proto.Identity] if another hub does, [proto.Denied] if this node is no
// member, [proto.Busy] if the hub is full. Handle is called for each event that answers
// none of this node's; it must not block and not call the Conn.
func Dial(ctx context.Context, o Options, handle func(hub.Event)) (*Conn, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	c, err := dial(ctx, o, handle)
	if err != nil {
		return nil, notLoggedIn{loginHint(o.URL, fmt.Errorf("hub %s: %w", o.URL.Name(), err))}
	}
	return c, nil
}

// ErrLate is in the chain of an error for want of an answer within [Ask.Within] or
// [CodeAsk.Within]: the hub may answer later.
var ErrLate = proto.Errorf(proto.Unreachable, "no answer")

// late is the cause of a wait that Within limits.
func (a *Agent) late() error { return fmt.Errorf("hub %s: %w", a.o.URL.Name(), ErrLate) }

// ErrLogin is in the chain of an error for want of a connection that is logged in.
var ErrLogin = errors.New("not logged in at the hub")

// notLoggedIn puts [ErrLogin] into the chain of an error, without changing its text.
type notLoggedIn struct{ error }

func (e notLoggedIn) Is(target error) bool { return target == ErrLogin }
func (e notLoggedIn) Unwrap() error        { return e.error }

// loginHint adds to the error of a login what can be done about it.
func loginHint(u hub.URL, err error) error {
	if proto.CodeOf(err) == proto.Identity {
		return proto.Hint(err, leaveAndJoin(u))
	}
	return err
}

func leaveAndJoin(u hub.URL) string {
	return "if the hub was changed on purpose: mesh-hub leave " + u.Origin() + u.Path + ", and join it again"
}

func dial(ctx context.Context, o Options, handle func(hub.Event)) (*Conn, error) {
	l := hub.Login{Origin: o.URL.Origin(), ClientNonce: hub.NewNonce(hub.ClientNonceBytes), Binding: make([]byte, hub.BindingBytes)}
	if o.Proxy == nil {
		o.Proxy = http.ProxyFromEnvironment
	}
	transport := o.transport(TLSConfig(o.URL))
	transport.DisableKeepAlives = true
	var way relay.ProxyWay
	way.Follow(transport)
	if o.Heard != nil {
		transport.DialContext = hearing(transport.DialContext, o.Heard)
	}
	ws, resp, err := websocket.Dial(ctx, o.URL.WebSocket(l.ClientNonce), &websocket.DialOptions{
		HTTPClient: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Subprotocols: []string{hub.Subprotocol}, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, dialError(resp, &way, err)
	}
	if ws.Subprotocol() != hub.Subprotocol {
		_ = ws.Close(hub.CloseVersion, "no common subprotocol")
		return nil, proto.Errorf(proto.Version, "it does not speak %s", hub.Subprotocol)
	}
	ws.SetReadLimit(hub.MaxEventBytes)
	c := &Conn{url: o.URL, nextChange: o.nextChange, transport: o.transport, trusted: trusted(resp.TLS), ws: ws, handle: handle, waiting: make(map[string]chan hub.Event), done: make(chan struct{})}
	if resp.TLS != nil {
		c.Certificate = resp.TLS.PeerCertificates[0]
		if l.Binding, err = resp.TLS.ExportKeyingMaterial(hub.ExporterLabel, nil, hub.BindingBytes); err != nil {
			_ = ws.CloseNow()
			return nil, proto.Errorf(proto.Protocol, "TLS exporter: %w", err)
		}
	}
	if err := c.login(ctx, o, l); err != nil {
		_ = ws.CloseNow()
		c.err = err
		close(c.done)
		return nil, err
	}
	c.welcomed.Store(true)
	return c, nil
}

// hearing returns dial with connections that tell heard when they are made, and of each read.
func hearing(dial func(ctx context.Context, network, addr string) (net.Conn, error), heard func()) func(ctx context.Context, network, addr string) (net.Conn, error) {
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		heard()
		return heardConn{c, heard}, nil
	}
}

type heardConn struct {
	net.Conn
	heard func()
}

func (c heardConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard()
	}
	return n, err
}

// transport returns a transport that makes its connections as the options say.
func (o Options) transport(cfg *tls.Config) *http.Transport {
	return &http.Transport{TLSClientConfig: cfg, DialContext: o.DialContext, Proxy: o.Proxy, OnProxyConnectResponse: relay.ProxyAnswer}
}

// TLSConfig returns the configuration for a hub's HTTPS, and that of its relays. It accepts
// the hub's own certificate where the URL has the hub's key, and in any
// case one that a certificate authority of this system vouches for.
func TLSConfig(u hub.URL) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}}
	if u.Key == (identity.ID{}) {
		return cfg
	}
	identity.VerifyBy(cfg, func(s tls.ConnectionState) error {
		id, err := identity.OfCertificates(s.PeerCertificates)
		if err == nil && id == u.Key {
			return nil
		}
		if err == nil {
			return proto.Errorf(proto.Identity, "another hub answers: its key is %s, want %s", id.Short(), u.Key.Short())
		}
		v := x509.VerifyOptions{DNSName: s.ServerName, Intermediates: x509.NewCertPool()}
		for _, cert := range s.PeerCertificates[1:] {
			v.Intermediates.AddCert(cert)
		}
		_, err = s.PeerCertificates[0].Verify(v)
		return err
	})
	return cfg
}

// trusted reports whether a certificate authority of this system vouches for the peer: it
// presented no node's own certificate.
func trusted(s *tls.ConnectionState) bool {
	if s == nil {
		return false
	}
	_, err := identity.OfCertificates(s.PeerCertificates)
	return err != nil
}

// dialError gives the error of a connection its code.
func dialError(resp *http.Response, way *relay.ProxyWay, err error) error {
	if told := way.Explain(err); told != nil && resp == nil {
		return &proto.Error{Code: proto.Unreachable, Err: told}
	}
	if e, ok := errors.AsType[*proto.Error](err); ok {
		return e
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return proto.Errorf(proto.Identity, "its certificate is not valid: %w", errors.Unwrap(err))
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return proto.Errorf(proto.Unreachable, "%w", e)
	}
	if resp != nil {
		return proto.Errorf(proto.Unreachable, "no hub answers there: HTTP status %d", resp.StatusCode)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return proto.Errorf(proto.Unreachable, "no answer in %s", loginTimeout)
	}
	if e, ok := errors.AsType[*url.Error](err); ok { // whose text has the URL with the nonce
		err = e.Err
	}
	return proto.Errorf(proto.Unreachable, "%w", err)
}

// login checks the hub's proof and sends the hello.
func (c *Conn) login(ctx context.Context, o Options, l hub.Login) error {
	var challenge hub.Challenge
	if err := c.expect(ctx, hub.TypeChallenge, &challenge); err != nil {
		return err
	}
	l.Hub, l.HubNonce = challenge.Hub, challenge.Nonce
	if o.URL.Key != (identity.ID{}) && l.Hub != o.URL.Key {
		return proto.Errorf(proto.Identity, "another hub answers: its key is %s, want %s", l.Hub.Short(), o.URL.Key.Short())
	}
	if err := checkProof(o, &l, challenge.Proof); err != nil {
		return err
	}
	c.Hub, c.Bound = l.Hub, names(l.Binding)
	h := &hub.Hello{Node: o.Key.ID(), Binding: l.Binding, Sig: l.Sign(o.Key, o.Instance), Instance: o.Instance, Agent: o.Agent}
	if o.Vouchers != nil {
		h.Vouchers = o.Vouchers(l.Hub)
		c.shown = h.Vouchers
	}
	if o.Invite != nil {
		h.Invite = l.SignJoin(*o.Invite, o.Key.ID())
	}
	if err := c.write(ctx, hub.TypeHello, "", h); err != nil {
		return err
	}
	if o.greeted != nil {
		o.greeted(c)
	}
	return c.expect(ctx, hub.TypeWelcome, &c.Welcome)
}

// names reports whether a binding names a connection, and is not that of a connection
// whose TLS ends before the hub.
func names(binding []byte) bool { return !bytes.Equal(binding, make([]byte, hub.BindingBytes)) }

// checkProof checks the hub's proof. One that does not name the connection is taken where
// TLS may end before the hub; the login then does not name it either.
func checkProof(o Options, l *hub.Login, proof []byte) error {
	err := l.CheckProof(proof)
	if err == nil {
		return nil
	}
	mayEnd := o.URL.Proxy || o.URL.Key == (identity.ID{})
	if o.URL.TLS && mayEnd {
		l.Binding = make([]byte, hub.BindingBytes)
		if l.CheckProof(proof) == nil {
			return nil
		}
	}
	return err
}
