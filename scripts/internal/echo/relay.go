//go:build unix

package main

import (
	"errors"
	"net"
	"sync"
	"time"
)

// The slow link: bytes a second in each direction, and the size of the queue
// before it. A packet that finds the queue full is lost.
const (
	slowRate  = 100e3
	slowQueue = 64 << 10
)

// relay is a slow link for UDP between one client and a server.
type relay struct {
	front, back *net.UDPConn
	wg          sync.WaitGroup

	mu     sync.Mutex
	client *net.UDPAddr
}

// startRelay relays packets to and from a server until close.
func startRelay(server string) (*relay, error) {
	to, err := net.ResolveUDPAddr("udp", server)
	if err != nil {
		return nil, err
	}
	r := &relay{}
	if r.front, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		return nil, err
	}
	if r.back, err = net.DialUDP("udp", nil, to); err != nil {
		return nil, errors.Join(err, r.front.Close())
	}
	r.wg.Go(func() {
		forward(r.front, func(p packet) {
			r.mu.Lock()
			r.client = p.from
			r.mu.Unlock()
			_, _ = r.back.Write(p.data) // an error is a lost packet
		})
	})
	r.wg.Go(func() {
		forward(r.back, func(p packet) {
			r.mu.Lock()
			to := r.client
			r.mu.Unlock()
			if to != nil {
				_, _ = r.front.WriteToUDP(p.data, to)
			}
		})
	})
	return r, nil
}

func (r *relay) addr() string { return r.front.LocalAddr().String() }

func (r *relay) close() {
	_ = r.front.Close()
	_ = r.back.Close()
	r.wg.Wait()
}

type packet struct {
	data []byte
	from *net.UDPAddr
}

// queue is the packets that wait for the link.
type queue struct {
	packets chan packet // forward sends and closes

	mu    sync.Mutex
	bytes int
}

// reserve adds n bytes, or returns false if they don't fit.
func (q *queue) reserve(n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes+n > slowQueue {
		return false
	}
	q.bytes += n
	return true
}

// transmit sends the packets at the link's speed.
func (q *queue) transmit(send func(packet)) {
	free := time.Now() // when the link has sent all packets before
	for p := range q.packets {
		if now := time.Now(); free.Before(now) {
			free = now
		}
		free = free.Add(time.Duration(float64(len(p.data)) / slowRate * float64(time.Second)))
		time.Sleep(time.Until(free))
		q.mu.Lock()
		q.bytes -= len(p.data)
		q.mu.Unlock()
		send(p)
	}
}

// forward passes the packets that conn receives to send, at the link's speed,
// until conn is closed.
func forward(conn *net.UDPConn, send func(packet)) {
	q := &queue{packets: make(chan packet, slowQueue)}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(q.packets)
	wg.Go(func() { q.transmit(send) })
	buf := make([]byte, 64<<10)
	for {
		n, from, err := conn.ReadFromUDP(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil && q.reserve(n) { // other errors: the server was not there for the packet before
			q.packets <- packet{append([]byte(nil), buf[:n]...), from}
		}
	}
}
