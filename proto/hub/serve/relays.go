package serve

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
	"mesh/proto/relay"
)

const (
	// AskRelayEvery is how often the hub asks each relay on another machine whether it is alive,
	// askRelayTimeout bounds the wait for the answer.
	AskRelayEvery   = 10 * time.Second
	askRelayTimeout = 5 * time.Second
	// permitEvery is how long a permit of a session is given out again.
	permitEvery = relay.PermitLife / 4
)

// Relays choose the relay of each session, and sign the permits.
type Relays struct {
	o      RelaysOptions
	list   []*site
	ownKey []byte // of the permits for the hub's own relay
}

// RelaysOptions are the settings of Relays.
type RelaysOptions struct {
	// Key is the hub's, which signs the permits.
	Key *identity.Key
	// Own, if it is set, is the relay of the hub itself, which has the key of
	// [relay.OwnKeyLabel]. Else URLs are those of other
	// relays, each with the key of the relay, or with a certificate that every system
	// trusts.
	Own  *OwnRelay
	URLs []hub.URL
	// Rate bounds the bytes per second of a session, both ways together, Bytes all its
	// bytes. 0 is no bound.
	Rate, Bytes uint64
	// Now may be nil.
	Now func() time.Time
	// Log may be nil.
	Log *slog.Logger

	askEvery time.Duration // in place of AskRelayEvery, in tests
}

// OwnRelay is the relay of the hub itself. A node finds it where it finds the hub.
type OwnRelay struct {
	// Name is the one in permits.
	Name string
	// URLs are those of the hub: a node whose login names the origin of one uses its
	// path.
	URLs []hub.URL
	// Plain is HOST:PORT of a port for the plain door alone. An unspecified HOST stands
	// for that of the hub. Empty is the hub's own port.
	Plain string
	// Proxied says that a proxy before the hub ends TLS: without Plain there is no plain
	// door then.
	Proxied bool
	// Spent reports that two nodes have used up their bytes at the relay: they get no
	// permits then. It must not block. It may be nil.
	Spent func(dialer, listener identity.ID) bool
}

// site is a relay.
type site struct {
	name string
	// doors returns the URLs of its doors for a node that has logged in at the origin.
	doors func(origin string) []string
	spent func(dialer, listener identity.ID) bool // nil if the hub does not know what nodes use there
	url   hub.URL                                 // to ask whether it is alive; zero for the hub's own
	alive atomic.Bool
	// answered is when it has answered last, in nanoseconds since 1970; 0 if it never has.
	answered atomic.Int64
}

// NewRelays returns the relays. Those of other machines are not used before one call of
// [Relays.Watch] has asked them.
func NewRelays(o RelaysOptions) (*Relays, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.askEvery == 0 {
		o.askEvery = AskRelayEvery
	}
	r := &Relays{o: o}
	if o.Own != nil {
		r.ownKey = o.Key.Derive(relay.OwnKeyLabel)
		own := &site{name: o.Own.Name, doors: lastOf(o.Own.doors), spent: o.Own.Spent}
		own.alive.Store(true)
		r.list = append(r.list, own)
	}
	for _, u := range o.URLs {
		r.list = append(r.list, &site{name: u.Host, url: u, doors: func(string) []string { return doorsOf(u) }})
	}
	for _, s := range r.list {
		if err := relay.CheckName(s.name); err != nil {
			return nil, fmt.Errorf("relay %s: %w", proto.QuoteText(s.name), err)
		}
	}
	return r, nil
}

// doorsOf returns the doors of a relay with a URL of its own.
func doorsOf(u hub.URL) []string {
	web := u.Origin() + u.Path + relay.PathWebSocket
	if u.Key != (identity.ID{}) {
		web += "#" + u.Key.String()
	}
	return []string{"tcp://" + u.Host, web}
}

// lastOf returns a function that knows the last result of doors, which is called three times
// for a session: all nodes of a hub use the same origin or one of a few. Nobody may change
// the result.
func lastOf(doors func(origin string) []string) func(origin string) []string {
	type result struct {
		origin string
		doors  []string
	}
	var last atomic.Pointer[result]
	return func(origin string) []string {
		r := last.Load()
		if r == nil || r.origin != origin {
			r = &result{origin, doors(origin)}
			last.Store(r)
		}
		return r.doors
	}
}

// doors returns the doors of the hub's own relay for a node that has logged in at an
// origin.
func (o *OwnRelay) doors(origin string) []string {
	u, err := url.Parse(origin)
	if err != nil {
		return nil
	}
	var all []string
	if host, port, err := net.SplitHostPort(o.Plain); err == nil {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = u.Hostname()
		}
		all = append(all, "tcp://"+net.JoinHostPort(host, port))
	} else if !o.Proxied {
		all = append(all, "tcp://"+u.Host)
	}
	path := ""
	for _, known := range o.URLs {
		if known.Origin() == origin {
			path = known.Path
			break
		}
	}
	return append(all, origin+path+relay.PathWebSocket)
}

// named returns the relays that answer. If none does, it returns the one that has answered
// last: it may be back before the hub asks again, and until then it is one more path that
// fails.
func (r *Relays) named() (some []*site) {
	var last *site
	for _, s := range r.list {
		if s.alive.Load() {
			some = append(some, s)
		}
		if at := s.answered.Load(); at != 0 && (last == nil || at > last.answered.Load()) {
			last = s
		}
	}
	if len(some) == 0 && last != nil {
		some = append(some, last)
	}
	return some
}

// Of returns the relay of a new session, nil if none has ever answered. It is for
// [broker.Options.Relays]. The session's id chooses among those that answer.
func (r *Relays) Of(session hub.ID, dialer, listener identity.ID) broker.Relay {
	some := r.named()
	if len(some) == 0 {
		return nil
	}
	at := some[binary.BigEndian.Uint64(session[:])%uint64(len(some))]
	return &sessionRelay{r: r, at: at, session: session, dialer: dialer, listener: listener}
}

// Doors returns the doors of the relays that sessions get, without permits. It is for
// [broker.Options.Doors].
func (r *Relays) Doors(origin string) []hub.Relay {
	var all []hub.Relay
	for _, s := range r.named() {
		for _, u := range s.doors(origin) {
			all = append(all, hub.Relay{URL: u, MaxBPS: r.o.Rate})
		}
	}
	return all[:min(len(all), hub.MaxRelays)]
}

// sessionRelay has the permits of one session. The broker's lock guards it.
type sessionRelay struct {
	r                *Relays
	at               *site
	session          hub.ID
	dialer, listener identity.ID
	permits          map[string]string // by role
	signed           time.Time
}

// Doors implements [broker.Relay].
func (s *sessionRelay) Doors(role, origin string) []hub.Relay {
	if s.at.spent != nil && s.at.spent(s.dialer, s.listener) {
		s.r.o.Log.Info("no permit for a relay: the nodes have used up their bytes", "dialer", s.dialer, "listener", s.listener, "for", role)
		return nil
	}
	permit, err := s.permit(relay.Role(role))
	if err != nil {
		s.r.o.Log.Error("no permit for a relay", "err", err)
		return nil
	}
	var all []hub.Relay
	for _, u := range s.at.doors(origin) {
		all = append(all, hub.Relay{URL: u, Permit: permit, MaxBPS: s.r.o.Rate})
	}
	return all
}

// permit returns the permit of one end: the same one again while it is fresh.
func (s *sessionRelay) permit(role relay.Role) (string, error) {
	now := s.r.o.Now()
	if now.Sub(s.signed) >= permitEvery {
		s.permits, s.signed = map[string]string{}, now
	}
	if text := s.permits[string(role)]; text != "" {
		return text, nil
	}
	p := relay.Permit{
		Kind: relay.KindLink, Session: s.session, Node: s.dialer, Peer: s.listener, Role: role, Relay: s.at.name,
		Rate: s.r.o.Rate, Bytes: s.r.o.Bytes, Expires: time.Unix(now.Add(relay.PermitLife).Unix(), 0),
	}
	if role == relay.RoleListener {
		p.Node, p.Peer = s.listener, s.dialer
	}
	text, err := s.r.prove(p, s.at)
	if err == nil {
		s.permits[string(role)] = text
	}
	return text, err
}

// prove returns the text of a permit for a relay. The relay of another machine knows
// nothing but the hub's public key, and needs a signature.
func (r *Relays) prove(p relay.Permit, at *site) (string, error) {
	if at.url.Host == "" {
		return p.Authenticate(r.ownKey)
	}
	return p.Sign(r.o.Key)
}

// Watch asks the relays of other machines whether they are alive, until ctx ends.
func (r *Relays) Watch(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range r.list {
		if s.url.Host != "" {
			wg.Go(func() { r.watch(ctx, s) })
		}
	}
	wg.Wait()
}

func (r *Relays) watch(ctx context.Context, s *site) {
	client := &http.Client{
		Transport: &http.Transport{TLSClientConfig: relayTLS(s.url), DisableKeepAlives: true}, Timeout: askRelayTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	tick := time.NewTicker(r.o.askEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		err := askRelay(ctx, client, s.url)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			s.answered.Store(time.Now().UnixNano())
		}
		if was := s.alive.Swap(err == nil); was != (err == nil) || first {
			r.tell(s, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (r *Relays) tell(s *site, err error) {
	if err != nil {
		r.o.Log.Warn("relay does not answer", "relay", s.name, "err", err)
		return
	}
	r.o.Log.Info("relay answers", "relay", s.name)
}

// askRelay returns an error unless the relay says that it is alive.
func askRelay(ctx context.Context, client *http.Client, u hub.URL) error {
	at := "http" + strings.TrimPrefix(u.Origin(), "ws") + u.Path + "/healthz"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("HTTP status %d", resp.StatusCode)
	}
	return nil
}

// relayTLS takes the certificate of the key in the URL of a relay, or without a key one
// that this system trusts.
func relayTLS(u hub.URL) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}}
	if u.Key == (identity.ID{}) {
		return cfg
	}
	identity.VerifyBy(cfg, func(s tls.ConnectionState) error {
		id, err := identity.OfCertificates(s.PeerCertificates)
		if err == nil && id != u.Key {
			err = errors.New("its key is another one")
		}
		return err
	})
	return cfg
}
