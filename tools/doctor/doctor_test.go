package doctor_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/hubtest"
	"mesh/proto/identity"
	"mesh/proto/nat"
	"mesh/proto/xtest"
	"mesh/tools/doctor"
)

// wanted is a line that a report must have: state and check, and parts of text and hint.
type wanted struct {
	state      doctor.State
	check      string
	text, hint string
}

// check runs the checks at one hub and looks for lines of it. The first state that is not
// OK must be that of the first wanted line.
func check(t *testing.T, o doctor.Options, out bool, want ...wanted) {
	t.Helper()
	r := doctor.Run(t.Context(), o)
	if r.Out != out {
		t.Errorf("got out %v, want %v", r.Out, out)
	}
	for _, w := range want {
		if !has(r, w) {
			t.Errorf("no line %+v in\n%s", w, dump(r))
		}
	}
	bad := 0
	for _, l := range r.Lines {
		if l.Hub != "" && l.State == doctor.Fail {
			bad++
		}
	}
	for _, w := range want {
		if w.state == doctor.Fail {
			bad--
		}
	}
	if bad != 0 {
		t.Errorf("there are %d other failures in\n%s", bad, dump(r))
	}
}

func has(r doctor.Report, w wanted) bool {
	for _, l := range r.Lines {
		if l.State == w.state && l.Check == w.check && strings.Contains(l.Text, w.text) && strings.Contains(l.Hint, w.hint) && (w.hint != "" || l.Hint == "") {
			return true
		}
	}
	return false
}

func dump(r doctor.Report) string {
	var b strings.Builder
	for _, l := range r.Lines {
		b.WriteString(strings.Join([]string{string(l.State), l.Hub, l.Check, l.Text, l.Hint}, "\t") + "\n")
	}
	return b.String()
}

func openHub(t *testing.T, members ...*identity.Key) *hubtest.Hub {
	t.Helper()
	h, err := hubtest.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	for _, k := range members {
		if err := h.AddMember(k.ID()); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func TestHub(t *testing.T) {
	t.Parallel()
	key := xtest.NewKey(t)
	h := openHub(t, key)
	reached := []wanted{
		{state: doctor.OK, check: "tls", text: "TLS 1.3, the hub's own certificate"},
		{state: doctor.OK, check: "http", text: "the hub answers in "},
		{state: doctor.OK, check: "clock", text: "as the hub's"},
	}
	t.Run("a member", func(t *testing.T) {
		t.Parallel()
		check(t, doctor.Options{Hubs: []hub.URL{h.URL()}, Key: key}, true, append([]wanted{
			{state: doctor.OK, check: "tcp", text: h.URL().Host},
			{state: doctor.OK, check: "login", text: "seen from 127.0.0.1:"},
			{state: doctor.Warn, check: "relay", text: "the hub names none", hint: "without --relay none"},
		}, reached...)...)
	})
	t.Run("no member", func(t *testing.T) {
		t.Parallel()
		other := xtest.NewKey(t)
		check(t, doctor.Options{Hubs: []hub.URL{h.URL()}, Key: other}, true, append([]wanted{
			{state: doctor.Fail, check: "login", text: "", hint: "mesh-hub member add " + other.ID().String()},
		}, reached...)...)
	})
	t.Run("one of two", func(t *testing.T) {
		t.Parallel()
		gone := hub.URL{TLS: true, Host: "127.0.0.1:1"}
		check(t, doctor.Options{Hubs: []hub.URL{gone, h.URL()}, Key: key}, true, append([]wanted{
			{state: doctor.Fail, check: "tcp", text: "127.0.0.1:1: ", hint: "mesh-hub serve must run there"},
		}, reached...)...)
	})
	t.Run("another hub", func(t *testing.T) {
		t.Parallel()
		u := h.URL()
		u.Key = xtest.NewKey(t).ID()
		check(t, doctor.Options{Hubs: []hub.URL{u}, Key: key}, false, wanted{state: doctor.Fail, check: "tls", text: "another hub answers", hint: "mesh-hub leave"})
	})
	t.Run("no key in the URL", func(t *testing.T) {
		t.Parallel()
		u := h.URL()
		u.Key = identity.ID{}
		check(t, doctor.Options{Hubs: []hub.URL{u}, Key: key}, false, wanted{state: doctor.Fail, check: "tls", text: "its own certificate", hint: "#" + h.Key.ID().String()})
	})
	t.Run("another path", func(t *testing.T) {
		t.Parallel()
		u := h.URL()
		u.Path = "/elsewhere"
		check(t, doctor.Options{Hubs: []hub.URL{u}, Key: key}, false, wanted{state: doctor.Fail, check: "http", text: "HTTP status 404", hint: "the path of the URL"})
	})
	t.Run("no such name", func(t *testing.T) {
		t.Parallel()
		u := h.URL()
		u.Host = "hub.invalid:443"
		check(t, doctor.Options{Hubs: []hub.URL{u}, Key: key}, false, wanted{state: doctor.Fail, check: "name", text: "hub.invalid", hint: "is the name right"})
	})
}

// The proxy is what is dialled. Its refusal is told as such, without the password.
func TestProxy(t *testing.T) {
	t.Parallel()
	key := xtest.NewKey(t)
	h := openHub(t, key)
	proxy := xtest.Proxy(t, "alice", "s3cret")
	for what, tt := range map[string]struct {
		password string
		out      bool
		want     []wanted
	}{
		"right password": {"s3cret", true, []wanted{
			{state: doctor.OK, check: "tcp", text: "proxy " + proxy.Host},
			{state: doctor.OK, check: "login", text: "in "},
		}},
		"wrong password": {"s3cret2", false, []wanted{
			{state: doctor.OK, check: "tcp", text: "proxy " + proxy.Host},
			{state: doctor.Fail, check: "proxy", text: "refuses the name and the password (HTTP status 407)", hint: "NTLM or Kerberos"},
		}},
	} {
		via := *proxy
		via.User = url.UserPassword("alice", tt.password)
		o := doctor.Options{Hubs: []hub.URL{h.URL()}, Key: key, Proxy: http.ProxyURL(&via)}
		check(t, o, tt.out, append(tt.want, wanted{state: doctor.OK, check: "proxy", text: "http://" + proxy.Host + ", with a name and a password"})...)
		if text := dump(doctor.Run(t.Context(), o)); strings.Contains(text, tt.password) || strings.Contains(text, "alice") {
			t.Errorf("%s: the password is in\n%s", what, text)
		}
	}
}

// What stands in the place of a hub is told apart.
func TestNoHub(t *testing.T) {
	t.Parallel()
	answer := func(status int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
		}
	}
	date := func(ahead time.Duration) http.HandlerFunc {
		return answer(http.StatusNoContent, "Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
	}
	for what, tt := range map[string]struct {
		handler http.HandlerFunc
		tls     bool // of the server
		wss     bool // in the URL
		host    string
		out     bool
		want    wanted
	}{
		"a login page":           {answer(http.StatusFound, "Location", "http://login.example/"), false, false, "", false, wanted{state: doctor.Fail, check: "http", text: "HTTP status 302", hint: "login page"}},
		"a page":                 {answer(http.StatusOK), false, false, "", false, wanted{state: doctor.Fail, check: "http", text: "HTTP status 200", hint: "login page"}},
		"another server":         {answer(http.StatusForbidden), false, false, "", false, wanted{state: doctor.Fail, check: "http", text: "HTTP status 403", hint: "the port and the path"}},
		"no TLS":                 {answer(http.StatusOK), false, true, "", false, wanted{state: doctor.Fail, check: "tls", text: "does not speak TLS", hint: "login page"}},
		"an untrusted authority": {answer(http.StatusNoContent), true, true, "", false, wanted{state: doctor.Fail, check: "tls", text: `does not trust the certificate, by "Acme Co"`, hint: "opens TLS"}},
		"a clock behind":         {date(5 * time.Minute), false, false, "", true, wanted{state: doctor.Warn, check: "clock", text: "behind the hub's", hint: "set the clock"}},
		"a clock ahead":          {date(-2 * time.Hour), false, false, "", true, wanted{state: doctor.Fail, check: "clock", text: "ahead of the hub's", hint: "set the clock"}},
		"a clock nearly right":   {date(20 * time.Second), false, false, "", true, wanted{state: doctor.OK, check: "clock", text: "behind the hub's"}},
		"no WebSocket":           {date(0), false, false, "", true, wanted{state: doctor.Fail, check: "login", text: "HTTP status 204", hint: "no WebSocket"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewUnstartedServer(tt.handler)
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			if tt.tls {
				srv.StartTLS()
			} else {
				srv.Start()
			}
			t.Cleanup(srv.Close)
			want := []wanted{tt.want}
			if tt.out && tt.want.check != "login" {
				want = append(want, wanted{state: doctor.Fail, check: "login", text: "HTTP status 204", hint: "no WebSocket"})
			}
			u := hub.URL{TLS: tt.wss, Host: srv.Listener.Addr().String()}
			check(t, doctor.Options{Hubs: []hub.URL{u}, Key: xtest.NewKey(t)}, tt.out, want...)
		})
	}
}

// A hub that takes connections and says nothing does not hold the report up.
func TestSilentHub(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	r := doctor.Run(ctx, doctor.Options{Hubs: []hub.URL{{TLS: true, Host: l.Addr().String()}}, Key: xtest.NewKey(t)})
	if want := (wanted{state: doctor.Fail, check: "tls", text: "deadline", hint: "a firewall on the way"}); r.Out || !has(r, want) {
		t.Errorf("got out %v, and no line %+v in\n%s", r.Out, want, dump(r))
	}
}

// Without a hub nothing is asked.
func TestAlone(t *testing.T) {
	t.Parallel()
	r := doctor.Run(t.Context(), doctor.Options{})
	for _, w := range []wanted{
		{state: doctor.OK, check: "proxy", text: "none"},
		{state: doctor.Warn, check: "hub", text: "joined none", hint: "mesh-hub join"},
	} {
		if !has(r, w) {
			t.Errorf("no line %+v in\n%s", w, dump(r))
		}
	}
}

// startSTUN answers at two ports of loopback, and returns these.
func startSTUN(t *testing.T) (servers []string) {
	t.Helper()
	for range 2 {
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		t.Cleanup(func() {
			_ = c.Close()
			<-done
		})
		go func() {
			defer close(done)
			b := make([]byte, nat.MaxSTUNBytes)
			for {
				n, from, err := c.ReadFrom(b)
				if err != nil {
					return
				}
				if answer, ok := nat.Answer(nil, b[:n], from.(*net.UDPAddr).AddrPort()); ok {
					_, _ = c.WriteTo(answer, from)
				}
			}
		}()
		servers = append(servers, c.LocalAddr().String())
	}
	return servers
}

// STUN servers of the settings are asked with and without a hub. One that is silent is told.
func TestSTUN(t *testing.T) {
	t.Parallel()
	servers := startSTUN(t)
	silent, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	nobody := silent.LocalAddr().String()
	for what, tt := range map[string]struct {
		servers []string
		kind    nat.Kind
		want    []wanted
	}{
		"both": {servers, nat.Open, []wanted{
			{state: doctor.OK, check: "udp", text: "IPv4: " + servers[0] + " in "},
			{state: doctor.OK, check: "nat", text: "IPv4: open: the address is this machine's own"},
		}},
		"one of two": {[]string{nobody, servers[0]}, nat.Open, []wanted{
			{state: doctor.Warn, check: "udp", text: "; no answer from " + nobody, hint: "some ports alone"},
		}},
		"none":        {[]string{nobody}, nat.Blocked, []wanted{{state: doctor.Warn, check: "udp", text: "IPv4: no answer from " + nobody, hint: "no UDP gets out"}}},
		"a bad name":  {[]string{"stun.invalid:3478", "stun.invalid:443"}, nat.Unknown, []wanted{{state: doctor.Warn, check: "udp", text: "no address of stun.invalid: ", hint: "no UDP gets out"}}},
		"none at all": {nil, nat.Unknown, nil},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := doctor.Run(t.Context(), doctor.Options{STUN: tt.servers})
			if r.NAT != tt.kind {
				t.Errorf("got NAT %s, want %s", r.NAT, tt.kind)
			}
			for _, w := range tt.want {
				if !has(r, w) {
					t.Errorf("no line %+v in\n%s", w, dump(r))
				}
			}
		})
	}
}

// A hub sends nobody's packets to services of this machine.
func TestSTUNOfHub(t *testing.T) {
	t.Parallel()
	for at, want := range map[string][2]bool{ // where the hub is elsewhere, and on this machine
		"127.0.0.1:3478": {false, true}, "[::1]:3478": {false, true}, "169.254.169.254:3478": {false, false}, "224.0.0.1:3478": {false, false},
		"192.168.7.1:3478": {true, true}, "203.0.113.1:443": {true, true}, "[64:ff9b::7f00:1]:3478": {false, false}, "0.0.0.0:3478": {false, false},
	} {
		for i, local := range []bool{false, true} {
			if got := doctor.Dialable(local)(netip.MustParseAddrPort(at)); got != want[i] {
				t.Errorf("%s, hub on this machine %v: got %v, want %v", at, local, got, want[i])
			}
		}
	}
}

// An address that drops packets is told from one where nobody listens.
func TestTimedOut(t *testing.T) {
	t.Parallel()
	_, refused := net.Dial("tcp", "127.0.0.1:1")
	late := &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
	for err, want := range map[error]bool{refused: false, late: true, context.DeadlineExceeded: true, &net.DNSError{IsTimeout: true}: true, &net.DNSError{IsNotFound: true}: false} {
		if got := doctor.TimedOut(err); got != want {
			t.Errorf("%v: got %v, want %v", err, got, want)
		}
	}
	if got := doctor.TCPHint(proto.Errorf(proto.Timeout, "no answer")); !strings.Contains(got, "a firewall may block") {
		t.Errorf("no answer: got hint %q", got)
	}
	if got := doctor.TCPHint(refused); !strings.Contains(got, "mesh-hub serve must run there") {
		t.Errorf("refused: got hint %q", got)
	}
}
