package relay_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/relay"
	"mesh/proto/xtest"
)

// serveWeb opens the other door of the rig's relay, and returns its URL and how it is
// verified.
func (r *rig) serveWeb() (url string, conf *tls.Config) {
	r.t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc(relay.PathWebSocket, r.server.ServeWebSocket)
	srv := httptest.NewTLSServer(mux)
	r.t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return "wss" + srv.URL[len("https"):] + relay.PathWebSocket, &tls.Config{RootCAs: roots}
}

// doors are the doors of a relay of a test.
type doors struct {
	*rig
	web  string
	conf *tls.Config
}

func startDoors(t testing.TB, o relay.Options, limits relay.Limits) *doors {
	t.Helper()
	d := &doors{rig: start(t, o, limits)}
	d.web, d.conf = d.serveWeb()
	return d
}

// entry returns the entry of a door for one end.
func (d *doors) entry(door string, session byte, role relay.Role) relay.Entry {
	url := "tcp://" + d.addr
	if door == relay.DoorWSS {
		url = d.web
	}
	return relay.Entry{URL: url, Permit: d.permit(session, role, nil)}
}

func (d *doors) client(role relay.Role) *relay.Client {
	return &relay.Client{Key: d.key(role), TLS: d.conf}
}

// place joins by a door, and returns a channel with the statuses and one with the
// connection once it is joined.
func (d *doors) place(door string, session byte, role relay.Role) (<-chan relay.Status, <-chan *relay.Conn) {
	d.t.Helper()
	told, joined := make(chan relay.Status, 16), make(chan *relay.Conn, 1)
	go func() {
		defer close(joined)
		c, err := d.client(role).Join(d.t.Context(), []relay.Entry{d.entry(door, session, role)}, func(s relay.Status) { told <- s })
		if err != nil {
			return
		}
		d.t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		joined <- c
	}()
	return told, joined
}

// pair returns two ends that are joined.
func (d *doors) pair(session byte, dialerDoor, listenerDoor string) (dialer, listener *relay.Conn) {
	d.t.Helper()
	told, l := d.place(listenerDoor, session, relay.RoleListener)
	want(d.t, told, relay.Waiting)
	_, c := d.place(dialerDoor, session, relay.RoleDialer)
	want(d.t, told, relay.Joined)
	dialer, listener = <-c, <-l
	if dialer == nil || listener == nil {
		d.t.Fatal("not joined")
	}
	return dialer, listener
}

func want(t testing.TB, told <-chan relay.Status, s relay.Status) {
	t.Helper()
	select {
	case got := <-told:
		if got != s {
			t.Fatalf("status: got %v, want %v", got, s)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("no status, want %v", s)
	}
}

var allDoors = []string{relay.DoorTCP, relay.DoorWSS}

// mixes runs a test for each pair of doors.
func mixes(t *testing.T, f func(t *testing.T, dialerDoor, listenerDoor string)) {
	for _, a := range allDoors {
		for _, b := range allDoors {
			t.Run(a+" to "+b, func(t *testing.T) {
				t.Parallel()
				f(t, a, b)
			})
		}
	}
}

func TestDoorsMix(t *testing.T) {
	t.Parallel()
	mixes(t, func(t *testing.T, a, b string) {
		d := startDoors(t, relay.Options{}, relay.Limits{})
		dialer, listener := d.pair(1, a, b)
		if dialer.Door() != a || listener.Door() != b {
			t.Errorf("got doors %s and %s", dialer.Door(), listener.Door())
		}
		for _, n := range []int{0, 1, 64<<10 - 1, 64 << 10, 256<<10 + 1, 2<<20 + 3} {
			data := xtest.Random(n)
			send(t, dialer, listener, data)
			send(t, listener, dialer, data)
		}
		go dialer.Close()
		wantEnd(t, "after Close", listener, true)
		listener.Close()
		until(t, "no pair", func() bool { return d.server.Stats().Pairs == 0 })
	})
}

// send writes data to one end and wants it at the other.
func send(t testing.TB, from, to net.Conn, data []byte) {
	t.Helper()
	failed := make(chan error, 1)
	go func() {
		_, err := from.Write(data)
		failed <- err
	}()
	got := make([]byte, len(data))
	if n, err := io.ReadFull(to, got); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("got %d bytes (%v), want %d the same", n, err, len(data))
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
}

// What one end's process does tells the other end, and a place of the other end, whether
// that process has ended the connection.
func TestEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what  string
		end   func(c *relay.Conn)
		clean map[string]bool // by the door of that end
	}{
		{"close", func(c *relay.Conn) { c.Close() }, map[string]bool{relay.DoorTCP: true, relay.DoorWSS: true}},
		{"half-close", func(c *relay.Conn) { _ = c.CloseWrite() }, map[string]bool{relay.DoorTCP: true, relay.DoorWSS: true}},
		{"reset", func(c *relay.Conn) { _ = c.SetLinger(0); c.Close() }, map[string]bool{relay.DoorTCP: false, relay.DoorWSS: false}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			mixes(t, func(t *testing.T, a, b string) {
				d := startDoors(t, relay.Options{}, relay.Limits{})
				dialer, listener := d.pair(1, a, b)
				told, _ := d.place(b, 1, relay.RoleListener)
				want(t, told, relay.Waiting)
				send(t, dialer, listener, []byte("hello"))
				go tt.end(dialer)
				wantEnd(t, "listener", listener, tt.clean[a])
				if tt.clean[a] {
					want(t, told, relay.Left)
					listener.Close()
				}
				until(t, "no pair", func() bool { return d.server.Stats().Pairs == 0 })
				told, _ = d.place(b, 1, relay.RoleListener)
				want(t, told, map[bool]relay.Status{true: relay.Left, false: relay.Waiting}[tt.clean[a]])
			})
		})
	}
}

// The deadlines of a connection by WebSocket leave it as it is.
func TestWebDeadlines(t *testing.T) {
	t.Parallel()
	d := startDoors(t, relay.Options{}, relay.Limits{})
	dialer, listener := d.pair(1, relay.DoorWSS, relay.DoorWSS)
	for _, at := range []time.Time{time.Unix(1, 0), time.Now().Add(20 * time.Millisecond)} {
		_ = dialer.SetReadDeadline(at)
		_ = dialer.SetWriteDeadline(at)
		if _, err := dialer.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read at its deadline: got %v", err)
		}
		if _, err := dialer.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write after its deadline: got %v", err)
		}
	}
	// A read that has begun ends when a deadline is set that has passed.
	_ = dialer.SetDeadline(time.Time{})
	ended := make(chan error, 1)
	go func() {
		_, err := dialer.Read(make([]byte, 1))
		ended <- err
	}()
	<-time.After(10 * time.Millisecond)
	_ = dialer.SetReadDeadline(time.Unix(1, 0))
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("interrupted read: got %v", err)
	}
	_ = dialer.SetDeadline(time.Now().Add(20 * time.Second))
	send(t, dialer, listener, xtest.Random(100000))
	send(t, listener, dialer, xtest.Random(100000))
	// A write that is in progress at its deadline ends the connection.
	_ = dialer.SetWriteDeadline(time.Now().Add(time.Second))
	_, err := dialer.Write(make([]byte, 128<<20)) // more than all buffers on the way hold
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("blocked write: got %v", err)
	}
	go io.Copy(io.Discard, listener)
	wantEnd(t, "after the blocked write", dialer, false)
}

// Requests that are none of a node get an HTTP status, and those of a node with a bad
// permit a status of the relay.
func TestWebRefusals(t *testing.T) {
	t.Parallel()
	d := startDoors(t, relay.Options{}, relay.Limits{})
	for what, tt := range map[string]struct {
		method string
		header http.Header
		want   int
	}{
		"no permit":    {"GET", nil, http.StatusUnauthorized},
		"other scheme": {"GET", http.Header{"Authorization": {"Bearer x"}}, http.StatusUnauthorized},
		"huge permit":  {"GET", http.Header{"Authorization": {"Mesh-Permit " + strings.Repeat("p", relay.MaxPermitBytes+1)}}, http.StatusUnauthorized},
		"method":       {"POST", http.Header{"Authorization": {"Mesh-Permit p"}}, http.StatusMethodNotAllowed},
		"browser":      {"GET", http.Header{"Authorization": {"Mesh-Permit p"}, "Origin": {"https://evil.example"}}, http.StatusForbidden},
		"no WebSocket": {"GET", http.Header{"Authorization": {"Mesh-Permit p"}}, http.StatusUpgradeRequired},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "https"+d.web[len("wss"):], nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = tt.header.Clone()
		resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: d.conf, DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s: got HTTP status %d, want %d", what, resp.StatusCode, tt.want)
		}
	}
	for what, tt := range map[string]struct {
		change func(*relay.Permit)
		role   relay.Role
		want   proto.Code
	}{
		"another relay":      {func(p *relay.Permit) { p.Relay = "other:1" }, relay.RoleDialer, proto.Denied},
		"old permit":         {func(p *relay.Permit) { p.Expires = time.Unix(1000, 0) }, relay.RoleDialer, proto.Timeout},
		"another node's key": {nil, relay.RoleListener, proto.Denied},
	} {
		permit := d.permit(1, relay.RoleDialer, tt.change)
		_, err := d.client(tt.role).Join(t.Context(), []relay.Entry{{URL: d.web, Permit: permit}}, nil)
		xtest.WantCode(t, what, err, proto.Unreachable)
		if r, ok := errors.AsType[*relay.Refused](err); !ok || r.Code != tt.want {
			t.Errorf("%s: got %v, want a refusal with %v", what, err, tt.want)
		}
	}
	other := *d.client(relay.RoleDialer)
	other.TLS = nil
	_, err := other.Join(t.Context(), []relay.Entry{d.entry(relay.DoorWSS, 1, relay.RoleDialer)}, nil)
	xtest.WantCode(t, "certificate of no authority", err, proto.Unreachable)
	if n := d.server.Stats(); n.Waiting != 0 || n.Pairs != 0 {
		t.Errorf("got %d places and %d pairs, want none", n.Waiting, n.Pairs)
	}
}

// The host of a killed process ends its WebSocket without a Close frame: that does not say
// that the process has left, since a proxy's end looks the same.
func TestKilledWeb(t *testing.T) {
	t.Parallel()
	d := startDoors(t, relay.Options{}, relay.Limits{})
	told, joined := d.place(relay.DoorTCP, 1, relay.RoleListener)
	want(t, told, relay.Waiting)
	var raw net.Conn
	client := d.client(relay.RoleDialer)
	client.Dial = func(ctx context.Context, network, addr string) (c net.Conn, err error) {
		raw, err = new(net.Dialer).DialContext(ctx, network, addr)
		return raw, err
	}
	c, err := client.Join(t.Context(), []relay.Entry{d.entry(relay.DoorWSS, 1, relay.RoleDialer)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	listener := <-joined
	send(t, c, listener, []byte("hello"))
	raw.Close() // FIN
	wantEnd(t, "listener", listener, false)
	until(t, "no pair", func() bool { return d.server.Stats().Pairs == 0 })
	d.rig.place(1, relay.RoleListener, relay.Waiting)
}
