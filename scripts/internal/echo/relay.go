//go:build unix

package main

import (
	"errors"
	"net"
	"strconv"
	"sync"
	"time"
)

// The slow link: how many bytes a second it carries each way, and how many wait
// at its begin; more are lost.
const (
	slowRate  = 100e3
	slowQueue = 64 << 10
)

// relay is a slow link for UDP, between one client and a server.
type relay struct {
	front, back *net.UDPConn
	wg          sync.WaitGroup

	mu     sync.Mutex
	client *net.UDPAddr
}

func newRelay() (*relay, error) {
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	return &relay{front: front}, nil
}

func (r *relay) addr() string { return r.front.LocalAddr().String() }

// run carries packets to and from the server until close.
func (r *relay) run(server string) {
	to, err := net.ResolveUDPAddr("udp", server)
	if err == nil {
		r.back, err = net.DialUDP("udp", nil, to)
	}
	exitOn(err)
	r.wg.Go(func() {
		carry(r.front, func(p []byte, from *net.UDPAddr) {
			r.mu.Lock()
			r.client = from
			r.mu.Unlock()
			_, _ = r.back.Write(p) // lost, as on any link
		})
	})
	r.wg.Go(func() {
		carry(r.back, func(p []byte, _ *net.UDPAddr) {
			r.mu.Lock()
			to := r.client
			r.mu.Unlock()
			if to != nil {
				_, _ = r.front.WriteToUDP(p, to)
			}
		})
	})
}

func (r *relay) close() {
	_ = r.front.Close()
	if r.back != nil {
		_ = r.back.Close()
	}
	r.wg.Wait()
}

type packet struct {
	data []byte
	from *net.UDPAddr
}

// carry hands on what conn gets, at the link's speed, until conn is closed.
func carry(conn *net.UDPConn, send func([]byte, *net.UDPAddr)) {
	queue := make(chan packet, slowQueue)
	var mu sync.Mutex
	waiting := 0
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(queue)
	wg.Go(func() {
		free := time.Now() // when the link is
		for p := range queue {
			if now := time.Now(); free.Before(now) {
				free = now
			}
			free = free.Add(time.Duration(float64(len(p.data)) / slowRate * float64(time.Second)))
			time.Sleep(time.Until(free))
			mu.Lock()
			waiting -= len(p.data)
			mu.Unlock()
			send(p.data, p.from)
		}
	})
	buf := make([]byte, 64<<10)
	for {
		n, from, err := conn.ReadFromUDP(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // nobody had the packet before
		}
		mu.Lock()
		full := waiting+n > slowQueue
		if !full {
			waiting += n
		}
		mu.Unlock()
		if !full {
			queue <- packet{append([]byte(nil), buf[:n]...), from}
		}
	}
}

// freePort returns a port that nobody has.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}
