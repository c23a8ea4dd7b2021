package serve_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/hub/serve"
)

// 5,000 connections of two sources that say nothing hold 32 places of each. Members elsewhere,
// and those behind the same address, log in meanwhile.
func abuseCrowd(t *testing.T) {
	h := start(t, patient)
	const all, places, held = 2500, 32, 100
	sources := []string{"127.0.0.2", "127.0.0.3"}
	member := h.member(t)
	var last []net.Conn // the hub has closed the ones before
	for i := range all {
		for _, from := range sources {
			last = append(last, h.dialFrom(t, from))
		}
		for len(last) > held*len(sources) {
			_ = last[0].Close()
			last = last[1:]
		}
		if i%1000 == 999 {
			h.enterFrom(t, sources[0], member)
			h.enterFrom(t, "127.0.0.1", member)
			if n, most := h.server.Silent(), places*len(sources); n > most {
				t.Errorf("after %d connections, %d that say nothing are open, want at most %d", (i+1)*len(sources), n, most)
			}
		}
	}
}

// A client that stops, wherever in its login, is left after 5 seconds.
func abuseStops(t *testing.T) {
	h := start(t, nil)
	const limit, slack = 5 * time.Second, 25 * time.Second // the machine may be busy
	began := time.Now()
	dial := func(from, text string) net.Conn {
		c := h.dialFrom(t, from)
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		return c
	}
	shaken := func(from, text string) net.Conn {
		c := tls.Client(h.dialFrom(t, from), insecure())
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		return c
	}
	challenged := h.open(t)
	for what, c := range map[string]net.Conn{
		"before its first byte": dial("127.0.0.2", ""),
		"in the TLS handshake":  dial("127.0.0.3", "\x16\x03\x01\x02\x00\x01\x00"),
		"before its request":    shaken("127.0.0.4", ""),
		"in its request":        shaken("127.0.0.5", "GET /ws HTTP/1.1\r\nHost: "),
		"in plain HTTP":         dial("127.0.0.6", "GET /ws HTTP/1.1\r\nHost: "),
		"in its first word":     dial("127.0.0.7", "G"),
	} {
		_ = c.SetReadDeadline(began.Add(limit + slack))
		_, err := io.Copy(io.Discard, c)
		if took := time.Since(began); errors.Is(err, os.ErrDeadlineExceeded) || took < limit-time.Second {
			t.Errorf("a client that stops %s: got %v after %v, want the end after %v", what, err, took, limit)
		}
	}
	if code := challenged.closed(); time.Since(began) < limit-time.Second || code == hub.CloseFull {
		t.Errorf("a client that stops before its hello: closed with %d after %v", code, time.Since(began))
	}
}

// Connections whose first event is no hello count as logins that failed: their source is
// refused before TLS in the end.
func abuseNoLogin(t *testing.T) {
	h := startOf(t, standing(), nil)
	for i := range 21 {
		if h.broker.Blocked(netip.MustParseAddr("127.0.0.1")) {
			t.Fatalf("the source is refused after %d of them", i)
		}
		c := h.open(t)
		c.raw("hello")
		if got := c.closed(); got != hub.CloseBadLogin {
			t.Fatalf("closed with %d, want %d", got, hub.CloseBadLogin)
		}
	}
	if !h.broker.Blocked(netip.MustParseAddr("127.0.0.1")) {
		t.Error("21 logins that are none, and the source is not refused")
	}
}

// Each refused request needs a connection of its own, and a flood of them writes few lines.
func abuseRefused(t *testing.T) {
	h := start(t, nil)
	c, err := tls.Dial("tcp", h.addr, insecure())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	request := "GET /readyz/ HTTP/1.1\r\nHost: " + h.addr + "\r\nOrigin: https://evil.test\r\n\r\n"
	if _, err := io.WriteString(c, strings.Repeat(request, 100)); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	text, err := io.ReadAll(c)
	if n := strings.Count(string(text), " 403 "); n != 1 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d answers on one connection (%v), want one and its end", n, err)
	}

	var out bytes.Buffer
	line := serve.Sampled(slog.New(slog.NewTextHandler(&out, nil)))
	now := time.Now()
	for range 10000 {
		line(now)
	}
	if n := strings.Count(out.String(), "\n"); n != serve.SampleBurst || strings.Contains(out.String(), "missing") {
		t.Errorf("got %d lines of 10000 at once, want %d", n, serve.SampleBurst)
	}
	out.Reset()
	line(now.Add(serve.SampleEvery - 1))
	line(now.Add(serve.SampleEvery))
	line(now.Add(serve.SampleEvery))
	want := fmt.Sprintf(" missing=%d\n", 10000-serve.SampleBurst+1)
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, want) {
		t.Errorf("later: got %q, want one line with%s", got, want)
	}
}

// The headers of a request have 8 KiB.
func abuseHeaders(t *testing.T) {
	h := start(t, nil)
	const most = 8 << 10
	for size, want := range map[int]int{most: http.StatusOK, most + 1: http.StatusRequestHeaderFieldsTooLarge, most + 3000: http.StatusRequestHeaderFieldsTooLarge, 1 << 20: http.StatusRequestHeaderFieldsTooLarge} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+h.addr+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		const agent = "x"
		rest := len("GET/readyz") + len(h.addr) + len("User-Agent: \r\n"+agent) + len("Accept-Encoding: gzip\r\n") + len("X: \r\n")
		r.Header.Set("User-Agent", agent)
		r.Header.Set("X", strings.Repeat("x", size-rest))
		client := http.Client{Transport: &http.Transport{TLSClientConfig: insecure(), DisableKeepAlives: false}}
		got, err := client.Do(r)
		if err != nil {
			if size < 1<<20 { // the hub may have closed before it has read all
				t.Errorf("%d bytes: %v", size, err)
			}
			continue
		}
		_ = got.Body.Close()
		client.CloseIdleConnections()
		if got.StatusCode != want {
			t.Errorf("%d bytes: got status %d, want %d", size, got.StatusCode, want)
		}
	}
}

// Pings are cheap, but a flood of them is one of events.
func abusePings(t *testing.T) {
	h := startOf(t, standing(), nil)
	c := h.enter(t, h.member(t))
	ended := make(chan int, 1)
	go func() {
		n := 0
		for ; n < 1000 && c.ws.Ping(context.Background()) == nil; n++ {
		}
		ended <- n
	}()
	if got := c.closed(); got != hub.CloseTooSlow {
		t.Errorf("closed with %d, want %d", got, hub.CloseTooSlow)
	}
	_ = c.ws.CloseNow()
	if n := <-ended; n > 200 {
		t.Errorf("the hub took %d pings", n)
	}
}

// A client that reads nothing is disconnected when 256 KiB wait for it, however few events that
// are.
func abuseQueue(t *testing.T) {
	s := &stoppable{conns: make(map[string]*stopped)}
	h := startAll(t, standing(), nil, func(l net.Listener) net.Listener {
		s.Listener = l
		return s
	})
	slow := h.enter(t, h.member(t))
	s.mu.Lock()
	conn := s.conns[slow.local]
	s.mu.Unlock()
	var dialers []*hostile
	for range 2 {
		dialers = append(dialers, h.enter(t, h.member(t)))
	}
	// An offer is one event of 10 to 12 KiB: 20 are less than 256 KiB, and 27 are more.
	const size = 10 << 10
	vouchers := make([]string, hub.MaxVouchers)
	for i := range vouchers {
		vouchers[i] = strings.Repeat("v", hub.MaxVoucherBytes)
	}
	ask := func(d *hostile) {
		r := d.request(slow.node.ID().String())
		r.Vouchers, r.Bearer = vouchers, &hub.Bearer{Method: hub.MethodKnown, Token: make([]byte, 2<<10), MAC: make([]byte, 32)}
		if text, err := jsonText(r); err != nil || len(text) < size || len(text) > 12<<10 {
			t.Fatalf("a request of %d bytes (%v), want %d", len(text), err, size)
		}
		if got := d.ask(hub.TypeRequest, r); got != "" {
			t.Fatal(got)
		}
	}
	conn.held.Lock()
	for range 20 {
		ask(dialers[0])
	}
	if n := h.server.Open(); n != 3 {
		t.Errorf("%d connections, want 3: the queue is full too early", n)
	}
	for range 8 { // one is being written
		ask(dialers[1])
	}
	conn.held.Unlock()
	if got := slow.closed(); got != hub.CloseTooSlow {
		t.Errorf("closed with %d, want %d", got, hub.CloseTooSlow)
	}
}

// What clients call themselves is in no line of the log, and what is in one is escaped.
func abuseTexts(t *testing.T) {
	var log lines
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h := startOf(t, broker.Options{Log: func(m string, args ...any) { logger.Info(m, args...) }}, func(o *serve.Options) { o.Log = logger })
	const evil = "\x1b]0;evil\a\u202e\r\nlevel=ERROR "
	k := h.member(t)
	c := h.open(t)
	hello := c.hello(k)
	hello.Agent = evil
	c.send(hub.TypeHello, "", hello)
	c.wait(hub.TypeWelcome)
	for _, name := range []string{evil, strings.Repeat("\n", 255)} {
		for typ, data := range map[string]any{
			hub.TypeRegister: register(name, true), hub.TypeRoomJoin: map[string]any{"room": name}, hub.TypeLookup: map[string]any{"peer": name},
			hub.TypeClosed: &hub.Closed{Session: hub.NewID(), Reason: name, Path: name},
		} {
			if got := c.ask(typ, data); got != hub.CodeBadName && got != hub.CodeNotFound {
				t.Errorf("%s of %q: got %q", typ, name, got)
			}
		}
	}
	c.raw(`{"type":"system.` + strings.Repeat("x", 200) + `","id":"1"}`)
	stranger := h.open(t)
	hello = stranger.hello(newKey(t))
	hello.Agent = evil
	stranger.send(hub.TypeHello, "", hello)
	stranger.closed()
	ws, _, err := websocket.Dial(t.Context(), "wss://"+h.addr+"/ws?n="+strings.Repeat("%1b%0a", 20), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: insecure()}}, Subprotocols: []string{hub.Subprotocol}, HTTPHeader: http.Header{"User-Agent": {"\u202e"}},
	})
	if err == nil {
		_ = ws.CloseNow()
		t.Error("a nonce of escapes is taken")
	}
	checkReply(t, h.request(t, "GET", "/api/v1/peers/%1b%0alevel=ERROR", "mh1%0a", nil), http.StatusUnauthorized, hub.CodeBadToken)
	log.mu.Lock()
	defer log.mu.Unlock()
	text := log.text.String()
	if text == "" || strings.ContainsAny(text, "\x1b\a\r\u202e") || strings.Contains(text, "evil") {
		t.Errorf("got the log %q, want lines without what clients say", text)
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "time=") || strings.Contains(line, "level=ERROR") {
			t.Errorf("got the line %q", line)
		}
	}
}
