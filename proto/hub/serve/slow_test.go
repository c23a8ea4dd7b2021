package serve_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"mesh/proto/hub"
)

// A client that sends a request byte by byte, its head or its body, is cut off after a time,
// however often it sends one. Many of them keep nobody else waiting.
func TestSlowRequests(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	admin, member := h.member(t), h.member(t)
	h.setAdmin(t, admin)
	token := h.apiToken(t, admin, hub.NewToken{})
	body := "PUT /api/v1/members/" + newKey(t).ID().String() + " HTTP/1.1\r\nHost: " + h.addr + "\r\nAuthorization: Bearer " + token +
		"\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{"
	const head = "GET /api/v1/whoami HTTP/1.1\r\nX-Slow: "
	began := time.Now()
	var wg sync.WaitGroup
	for i := range 20 {
		text, limit := body, 10*time.Second
		if i%2 == 0 {
			text, limit = head, 5*time.Second
		}
		c := h.dialFrom(t, fmt.Sprintf("127.0.0.%d", 2+i))
		s := tls.Client(c, insecure())
		if _, err := io.WriteString(s, text); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			status := trickle(s)
			took := time.Since(began)
			if took > limit+15*time.Second { // the machine may be busy
				t.Errorf("a slow request was cut off after %v, want %v", took, limit)
			}
			if status != 0 && status != http.StatusBadRequest && status != http.StatusRequestTimeout {
				t.Errorf("a slow request was answered with %d", status)
			}
		})
	}
	for range 5 {
		one := time.Now()
		checkReply(t, h.request(t, "GET", "/api/v1/whoami", token, nil), 200, "")
		h.enter(t, member)
		if took := time.Since(one); took > 3*time.Second {
			t.Errorf("beside slow requests, a request and a login took %v", took)
		}
	}
	wg.Wait()
	if n := h.broker.Count().Members; n != 2 {
		t.Errorf("got %d members, want 2: half a request has made one", n)
	}
}

// trickle sends a byte ten times a second until the hub closes the connection, and returns
// the status of its answer, 0 for none.
func trickle(c net.Conn) int {
	answered := make(chan int, 1)
	go func() {
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			answered <- 0
			return
		}
		_ = r.Body.Close()
		answered <- r.StatusCode
	}()
	defer c.Close()
	tick := time.NewTicker(time.Second / 10)
	defer tick.Stop()
	for {
		select {
		case status := <-answered:
			return status
		case <-tick.C:
			_ = c.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := io.WriteString(c, " "); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return <-answered
			}
		}
	}
}
