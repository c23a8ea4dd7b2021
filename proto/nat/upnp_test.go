package nat

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mesh/proto/candidate"
)

// igd is a router with UPnP.
type igd struct {
	place   place
	service string
	// answer, if it is set, answers in place of the router.
	answer func(w http.ResponseWriter, r *http.Request) bool
	// location and description, if they are set, are what the router says.
	location, description string
	faults                []int // for the next AddPortMapping

	mu      sync.Mutex
	actions []string
}

const upnpDescription = `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0">%s<device><deviceList><device><deviceList><device>
<serviceList><service><serviceType>%s</serviceType><controlURL>%s</controlURL></service></serviceList>
</device></deviceList></device></deviceList></device></root>`

func (g *igd) start(t *testing.T) {
	t.Helper()
	g.place = routerAt(t)
	l, err := net.Listen("tcp4", netip.AddrPortFrom(g.place.at, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(g)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	if g.location == "" {
		g.location = s.URL + "/root.xml"
	}
	if g.description == "" {
		g.description = fmt.Sprintf(upnpDescription, "", g.service, "/control")
	}
	g.place.ssdp = playSSDP(t, g.place.at, g.location)
}

// playSSDP answers searches at an address.
func playSSDP(t *testing.T, at netip.Addr, location string) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			if strings.Contains(string(b[:n]), "WANIPConnection:2") {
				_, _ = conn.WriteToUDPAddrPort([]byte("HTTP/1.1 200 OK\r\nLOCATION: "+location+"\r\n\r\n"), from)
			}
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// did returns the actions that the router was asked for.
func (g *igd) did() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.actions)
}

var argument = regexp.MustCompile(`<(New\w+)>([^<]*)<`)

func (g *igd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case g.answer != nil && g.answer(w, r):
	case r.URL.Path == "/root.xml":
		fmt.Fprint(w, g.description)
	case r.URL.Path == "/control":
		g.control(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (g *igd) control(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, action, _ := strings.Cut(strings.Trim(r.Header.Get("SOAPACTION"), `"`), "#")
	for _, m := range argument.FindAllStringSubmatch(string(body), -1) {
		action += " " + m[1] + "=" + m[2]
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.actions = append(g.actions, action)
	if strings.HasPrefix(action, "Add") && len(g.faults) > 0 {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode><detail><UPnPError><errorCode>%d</errorCode></UPnPError></detail></s:Fault></s:Body></s:Envelope>`, g.faults[0])
		g.faults = g.faults[1:]
		return
	}
	fmt.Fprintf(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><u:R xmlns:u="x"><NewExternalIPAddress>%s</NewExternalIPAddress></u:R></s:Body></s:Envelope>`, external)
}

func TestUPnP(t *testing.T) {
	t.Parallel()
	for _, service := range upnpServices {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			g := &igd{service: service}
			g.start(t)
			r, err := openUPnP(t.Context(), g.place)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := r.external(t.Context()); got != external || err != nil {
				t.Errorf("got external address %v, %v, want %v", got, err, external)
			}
			granted, lease, err := r.add(t.Context(), candidate.UDP, 4600)
			if granted != 4600 || lease != mapLease || err != nil {
				t.Errorf("got port %d for %v, %v, want 4600 for %v", granted, lease, err, mapLease)
			}
			r.remove(t.Context(), candidate.UDP, 4600, 4600)
			want := []string{
				"GetExternalIPAddress",
				"AddPortMapping NewRemoteHost= NewExternalPort=4600 NewProtocol=UDP NewInternalPort=4600 NewInternalClient=127.0.0.1 NewEnabled=1 NewPortMappingDescription=mesh NewLeaseDuration=7200",
				"DeletePortMapping NewRemoteHost= NewExternalPort=4600 NewProtocol=UDP",
			}
			if got := g.did(); !slices.Equal(got, want) {
				t.Errorf("got actions\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

func TestUPnPFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		faults []int
		last   string // in the last request
		err    string
	}{
		{"the port is another machine's", []int{718}, "NewLeaseDuration=7200", ""},
		{"the router knows no leases", []int{725}, "NewExternalPort=4600", ""},
		{"both", []int{718, 725}, "NewLeaseDuration=0", ""},
		{"every port is taken", []int{718, 718, 718, 718, 718}, "", "the router refuses (UPnP 718)"},
		{"without end", []int{725, 725}, "", "the router refuses (UPnP 725)"},
		{"not allowed", []int{606}, "", "the router refuses (UPnP 606)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := &igd{service: upnpServices[0], faults: tt.faults}
			g.start(t)
			r, err := openUPnP(t.Context(), g.place)
			if err != nil {
				t.Fatal(err)
			}
			granted, _, err := r.add(t.Context(), candidate.TCP, 4600)
			if err != nil != (tt.err != "") || err != nil && err.Error() != tt.err {
				t.Fatalf("got %v, want %q", err, tt.err)
			}
			did := g.did()
			last := did[len(did)-1]
			if taken := slices.Contains(tt.faults, upnpConflict); err == nil && taken == (granted == 4600) {
				t.Errorf("got port %d, want another one if it is taken: %v", granted, taken)
			}
			if err == nil && (!strings.Contains(last, tt.last) || !strings.Contains(last, fmt.Sprintf("NewExternalPort=%d ", granted))) {
				t.Errorf("got port %d by %s, want %s", granted, last, tt.last)
			}
		})
	}
}

// The router, and whoever answers in its place, leads to no other machine and to no more
// than it may say.
func TestUPnPHostile(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var reached []string
	victim := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		reached = append(reached, r.Method+" "+r.URL.Path)
	}))
	t.Cleanup(func() {
		victim.Close()
		if len(reached) > 0 {
			t.Errorf("another machine got %v, want nothing", reached)
		}
	})
	describes := func(base, control string) *igd {
		return &igd{description: fmt.Sprintf(upnpDescription, base, upnpServices[0], control)}
	}
	replies := func(answer http.HandlerFunc) *igd {
		return &igd{answer: func(w http.ResponseWriter, r *http.Request) bool { answer(w, r); return true }}
	}
	for _, tt := range []struct {
		name string
		igd  *igd
		want string
	}{
		{"the description is at another machine", &igd{location: victim.URL + "/location"}, "does not answer"},
		{"the description is at a name", &igd{location: "http://localhost:1/root.xml"}, "does not answer"},
		{"the description is a file", &igd{location: "file:///etc/passwd"}, "does not answer"},
		{"the location is no URL", &igd{location: "http://[::1"}, "does not answer"},
		{"the base is another machine", describes("<URLBase>"+victim.URL+"</URLBase>", "/base"), "forwards no ports"},
		{"the control is at another machine", describes("", victim.URL+"/control"), "forwards no ports"},
		{"the control is no HTTP", describes("", "ftp://127.0.0.1/"), "forwards no ports"},
		{"another service", &igd{description: fmt.Sprintf(upnpDescription, "", "urn:schemas-upnp-org:service:Printer:1", "/control")}, "forwards no ports"},
		{"a redirect", replies(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, victim.URL+"/redirect", http.StatusFound)
		}), "HTTP status 302"},
		{"no XML", &igd{description: "router"}, "no XML"},
		{"deep XML", &igd{description: "<root>" + strings.Repeat("<device><deviceList>", 2000)}, "no XML"},
		{"1 MiB", &igd{description: fmt.Sprintf(upnpDescription, "<x>"+strings.Repeat("x", 1<<20)+"</x>", upnpServices[0], "/control")}, "too long"},
		{"a header of 1 MiB", replies(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		}), "UPnP: "},
		{"no end", replies(func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, "<root>"); err != nil {
					return
				}
			}
		}), "too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.igd.service = upnpServices[0]
			tt.igd.start(t)
			_, err := openUPnP(t.Context(), tt.igd.place)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	t.Run("another machine answers", func(t *testing.T) {
		t.Parallel()
		p := routerAt(t)
		p.ssdp = playSSDP(t, routerAt(t).at, "http://"+p.at.String()+"/root.xml")
		if _, err := openUPnP(t.Context(), p); err == nil || !strings.Contains(err.Error(), "does not answer") {
			t.Errorf("got %v, want no answer of the router", err)
		}
	})
}

func TestUPnPEnds(t *testing.T) {
	t.Parallel()
	asked := make(chan bool, 1)
	g := &igd{service: upnpServices[0]}
	g.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		asked <- true
		<-r.Context().Done()
		return true
	}
	g.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := openUPnP(ctx, g.place)
		failed <- err
	}()
	select {
	case <-asked:
	case err := <-failed:
		t.Fatalf("got %v before the router was asked", err)
	}
	cancel()
	select {
	case err := <-failed:
		if err == nil {
			t.Error("got no error after the end of the context, want one")
		}
	case <-time.After(2 * time.Second):
		t.Error("the request did not end with its context")
	}
}

// The faults and the XML of a router end in errors that are fit for a terminal.
func TestUPnPErrors(t *testing.T) {
	t.Parallel()
	g := &igd{service: upnpServices[0]}
	g.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/control" {
			return false
		}
		fmt.Fprint(w, "<a\x1b[2J"+strings.Repeat("é\n", 1000))
		return true
	}
	g.start(t)
	r, err := openUPnP(t.Context(), g.place)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.external(t.Context())
	if err == nil || len(err.Error()) > 100 || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("got %q, want an error of at most 100 printable characters", err)
	}
}

func FuzzUPnPDescription(f *testing.F) {
	f.Add(fmt.Sprintf(upnpDescription, "", upnpServices[0], "/control"))
	f.Add(fmt.Sprintf(upnpDescription, "<URLBase>http://192.0.2.1:5000/</URLBase>", upnpServices[2], "http://192.0.2.1/x"))
	f.Add("<root>")
	at := netip.MustParseAddr("192.0.2.1")
	location := &url.URL{Scheme: "http", Host: "192.0.2.1:5000", Path: "/root.xml"}
	f.Fuzz(func(t *testing.T, text string) {
		device, err := readDevice(strings.NewReader(text), location)
		if err != nil {
			return
		}
		for _, service := range upnpServices {
			for _, s := range device.FindService(service) {
				u := s.ControlURL.URL
				if isOf(&u, at) && u.Hostname() != "192.0.2.1" {
					t.Errorf("got %s, want an URL of %s", &u, at)
				}
			}
		}
	})
}

func FuzzUPnPLocation(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nLOCATION: http://192.0.2.1:5000/root.xml\r\n\r\n"))
	f.Add([]byte("NOTIFY * HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(_ *testing.T, answer []byte) {
		if u, ok := locationIn(answer); ok {
			isOf(u, netip.MustParseAddr("192.0.2.1"))
		}
	})
}
