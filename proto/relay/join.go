package relay

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
	"mesh/proto/tcp"
)

const (
	// webSocketAfter is the head start of the plain door.
	webSocketAfter = 200 * time.Millisecond
	// joinTimeout bounds the way to the first status.
	joinTimeout = proto.DialTimeout
	// silence is how long a relay may send no status to a place.
	silence = 3 * StatusEvery
)

// Entry is a door of a relay, as the hub names it, and the permit to use it.
type Entry struct {
	// URL is tcp://HOST:PORT or wss://HOST[:PORT]/relay/v1. "#mk1…" at its end is the key
	// that the relay has, in place of a certificate that [Client.TLS] takes.
	URL    string
	Permit string
	MaxBPS uint64 // the rate limit of the relay in bytes per second; 0 if it has none
}

// Client joins relays. Its zero value with a Key is ready to use.
type Client struct {
	// Key is the node's.
	Key *identity.Key
	// Dial makes the connections to relays and proxies; nil stands for a [net.Dialer].
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Proxy returns the proxy for a request, as [http.Transport] has it; nil stands for
	// [http.ProxyFromEnvironment]. With a proxy there is no plain door.
	Proxy func(*http.Request) (*url.URL, error)
	// TLS says how the door of WebSockets is verified; nil stands for the certificate
	// authorities of this system.
	TLS *tls.Config
	// Log may be nil.
	Log *slog.Logger
}

// Conn is a connection to the node at the other end, through a relay. Reads return
// [io.EOF] if the process there has ended it, and another error for any other end.
type Conn struct {
	net.Conn
	entry   Entry
	host    string
	door    string
	proxied bool
}

// Relay returns HOST:PORT of the relay, or HOST over a WebSocket.
func (c *Conn) Relay() string { return c.host }

// Door returns [DoorTCP] or [DoorWSS].
func (c *Conn) Door() string { return c.door }

// Proxied reports whether the connection goes through a proxy.
func (c *Conn) Proxied() bool { return c.proxied }

// MaxBPS returns the rate limit of the relay in bytes per second; 0 if it has none.
func (c *Conn) MaxBPS() uint64 { return c.entry.MaxBPS }

// CloseWrite tells the other end that this process has ended the connection. Over a
// WebSocket what the other end sends from then on may be lost.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SetLinger is that of a [net.TCPConn]: after SetLinger(0) the other end does not take
// Close for an end by this process.
func (c *Conn) SetLinger(sec int) error {
	if s, ok := c.Conn.(interface{ SetLinger(int) error }); ok {
		return s.SetLinger(sec)
	}
	return errors.ErrUnsupported
}

// NetConn returns the *net.TCPConn to the relay at the plain door, and over a WebSocket
// a connection of this package.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Join joins a relay by one of its doors: the first that gives a status. It blocks until
// the other end is there, or until ctx ends, and tells status of each byte until then.
// Errors have code [proto.Busy] if a limit of the relay is reached, else
// [proto.Unreachable]; a [*Refused] is in the chain if the relay gave a reason.
func (c *Client) Join(ctx context.Context, entries []Entry, status func(Status)) (*Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tries, err := c.tries(entries)
	if err != nil {
		return nil, err
	}
	won, first, err := c.race(ctx, tries)
	if err != nil {
		return nil, err
	}
	conn, err := won.wait(ctx, first, status)
	if err != nil {
		return nil, joinError(ctx, won.host, err)
	}
	return conn, nil
}

// joinError names the relay, and gives the error the code that Join promises.
func joinError(ctx context.Context, host string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	code := proto.Unreachable
	if r, ok := errors.AsType[*Refused](err); ok && r.Code == proto.Busy {
		code = proto.Busy
	}
	return &proto.Error{Code: code, Err: fmt.Errorf("relay %s: %w", host, err)}
}

// try is the attempt to join at one door.
type try struct {
	c       *Client
	entry   Entry
	relay   string // as the permit names it
	host    string
	door    string
	url     *url.URL
	pin     identity.ID // in the URL; zero for none
	proxied bool
	way     ProxyWay
	conn    net.Conn
}

// tries returns an attempt for each door that can be used here.
func (c *Client) tries(entries []Entry) ([]*try, error) {
	var all, plain, web []*try
	var errs []error
	for _, e := range entries {
		t, err := c.parse(e)
		switch {
		case err != nil:
			errs = append(errs, err)
		case t.door == DoorTCP:
			plain = append(plain, t)
		case t.proxied:
			web = append(web, t)
		default:
			all = append(all, t)
		}
	}
	if len(web) > 0 {
		return web, nil
	}
	all = append(plain, all...)
	if len(all) == 0 {
		return nil, proto.Errorf(proto.Unreachable, "no door of a relay is known: %w", errors.Join(errs...))
	}
	return all, nil
}

// parse reads an entry of the hub.
func (c *Client) parse(e Entry) (*try, error) {
	relay, err := relayOf(e.Permit)
	if err != nil {
		return nil, err
	}
	t, err := c.parseURL(e)
	if err == nil {
		t.relay = relay
	}
	return t, err
}

// parseURL reads the URL of an entry.
func (c *Client) parseURL(e Entry) (*try, error) {
	u, err := url.Parse(e.URL)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, errors.New("not the URL of a relay")
	}
	u.Host = strings.ToLower(u.Host) // as the rules for proxies have it
	t := &try{c: c, entry: e, url: u, host: u.Host, door: DoorTCP}
	if u.Fragment != "" {
		if t.pin, err = identity.ParseID(u.Fragment); err != nil {
			return nil, errors.New("what follows # in the URL of a relay is no node id")
		}
	}
	switch u.Scheme {
	case "tcp":
		if u.Port() == "" {
			return nil, errors.New("the URL of a relay has no port")
		}
		return t, nil
	case "wss", "ws":
		if u.Scheme == "ws" && !proto.IsUnproxiedHost(u.Hostname()) {
			return nil, errors.New("the URL of a relay is ws://, which is for this machine only")
		}
		t.host, t.door = u.Hostname(), DoorWSS
		t.proxied, err = c.isProxied(u)
		return t, err
	}
	return nil, errors.New("the URL of a relay is neither tcp:// nor wss://")
}

// relayOf returns the name of the relay in a permit. Only the relay checks the hub's
// signature.
func relayOf(permit string) (string, error) {
	first, _, _ := strings.Cut(permit, ".")
	b, err := base64Text.DecodeString(first)
	if err != nil || len(permit) > MaxPermitBytes {
		return "", errors.New("the permit is malformed")
	}
	p, err := decode(b)
	return p.Relay, err
}

// begin connects, passes the door, and reads the first status.
func (t *try) begin(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, joinTimeout, errNoAnswer)
	defer cancel()
	if err := t.connect(ctx); err != nil {
		if ctx.Err() == nil {
			return 0, err
		}
		err = context.Cause(ctx)
		return 0, cmp.Or(t.way.Explain(err), err)
	}
	stop := context.AfterFunc(ctx, func() { _ = t.conn.Close() })
	first, err := t.pass()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = t.conn.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return 0, err
	}
	return first, nil
}

// connect connects to the door.
func (t *try) connect(ctx context.Context) error {
	if t.door == DoorWSS {
		return t.connectWeb(ctx)
	}
	conn, err := t.c.dial(ctx, "tcp", t.url.Host)
	if err != nil {
		return err
	}
	t.conn = conn
	_, err = conn.Write(AppendGreeting(nil, t.entry.Permit))
	if err != nil {
		_ = conn.Close()
	}
	return err
}

// dial connects to a relay or a proxy.
func (c *Client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	dial := c.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	tcp.Tune(conn)
	return conn, nil
}

// pass answers the challenge and reads the first status.
func (t *try) pass() (Status, error) {
	challenge := make([]byte, ChallengeBytes)
	if n, err := io.ReadFull(t.conn, challenge); err != nil {
		if n == 1 && err == io.ErrUnexpectedEOF { // a refusal takes the place of the challenge
			return 0, refusal(Status(challenge[0]))
		}
		return 0, ended(err)
	}
	if _, err := t.conn.Write(SignDoor(t.c.Key, t.relay, t.entry.Permit, challenge)); err != nil {
		return 0, err
	}
	return t.read()
}

// refusal returns the error of a status that must be a refusal.
func refusal(s Status) error {
	if err := s.Check(); err != nil {
		return err
	}
	return ended(io.ErrUnexpectedEOF)
}

// read reads a status. It reads no more: the stream may follow at once.
func (t *try) read() (Status, error) {
	var b [1]byte
	if _, err := io.ReadFull(t.conn, b[:]); err != nil {
		return 0, ended(err)
	}
	return Status(b[0]), Status(b[0]).Check()
}

// ended says what the end of a connection means.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it has closed the connection")
	}
	return err
}

// wait tells the statuses until the other end is there.
func (t *try) wait(ctx context.Context, s Status, tell func(Status)) (*Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = t.conn.Close() })
	err := t.await(s, tell)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = t.conn.Close()
		return nil, err
	}
	return &Conn{Conn: t.conn, entry: t.entry, host: t.host, door: t.door, proxied: t.proxied}, nil
}

func (t *try) await(s Status, tell func(Status)) (err error) {
	for {
		if tell != nil {
			tell(s)
		}
		switch s {
		case Joined:
			return t.conn.SetReadDeadline(time.Time{})
		case Draining:
			return errors.New("it is about to end")
		}
		if err := t.conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		if s, err = t.read(); err != nil {
			return err
		}
	}
}
