package nat_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto/candidate"
	"mesh/proto/nat"
)

// A list of 10,000, with addresses that nobody may send to.
func TestRemoteIsBounded(t *testing.T) {
	t.Parallel()
	var list []candidate.Candidate
	for _, bad := range []string{
		"127.0.0.1:4600", "[::1]:4600", "0.0.0.0:4600", "[::]:4600", "169.254.169.254:80", "224.0.0.1:4600", "255.255.255.255:4600",
		"[fe80::1]:4600", "[ff02::1]:4600", "[::ffff:127.0.0.1]:4600", "[64:ff9b::7f00:1]:4600",
	} {
		list = append(list, udpAt(bad))
	}
	list = append(list,
		candidate.At(candidate.Host, candidate.TCP, netip.MustParseAddrPort("198.51.100.7:4600"), 0),
		candidate.At(candidate.PeerReflexive, candidate.UDP, netip.MustParseAddrPort("198.51.100.7:4600"), 0),
		candidate.Candidate{Type: candidate.Relay, Proto: candidate.TCP, Addr: "198.51.100.7:4600"},
		candidate.Candidate{Type: candidate.Host, Proto: candidate.UDP, Addr: "victim.example:53"})
	bad := len(list)
	for i := range 10_000 {
		list = append(list, udpAt(fmt.Sprintf("203.0.113.%d:%d", i%100, 1000+i)))
	}
	for _, local := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, m := newSocket(t)
			session, _ := sessions()
			session.Local = local
			c := m.Check(session)
			c.Remote(0, list)
			<-time.After(time.Minute)
			requests, _ := s.take()
			to := make(map[netip.AddrPort]int)
			for _, p := range requests {
				to[p.addr]++
				if ip := p.addr.Addr().Unmap(); !netip.MustParsePrefix("203.0.113.0/24").Contains(ip) && !(local && ip.IsLoopback()) {
					t.Errorf("got a check to %s", p.addr)
				}
				if len(p.b) > 120 {
					t.Errorf("got a check of %d bytes, want at most 120", len(p.b))
				}
			}
			want := 16 - bad
			if local {
				want += 2 // 127.0.0.1, also written as ::ffff:127.0.0.1, and ::1
			}
			if len(to) != want {
				t.Errorf("loopback %v: got checks to %d addresses, want %d: %v", local, len(to), want, to)
			}
		})
	}
}

// A peer that names a victim's address in 1,000 sessions, 16 ports in each.
func TestManySessions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		dialer bool
		max    int
	}{{true, 4}, {false, 64}} {
		t.Run(fmt.Sprintf("dialer %v", tt.dialer), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, m := newSocket(t)
				var list []candidate.Candidate
				for port := range 16 {
					list = append(list, udpAt(fmt.Sprintf("203.0.113.9:%d", 1+port)))
				}
				for i := range 1000 {
					session := nat.Session{Dialer: tt.dialer}
					binary.BigEndian.PutUint64(session.ID[:], uint64(i))
					m.Check(session).Remote(0, list)
				}
				<-time.After(3 * time.Minute)
				requests, _ := s.take()
				if packets, size := inAnySecond(requests); packets > 200 || size > 24_000 || packets < 100 {
					t.Errorf("got %d packets with %d bytes within a second, want at most 200 with 24 kB, and more than 100", packets, size)
				}
				type key struct{ to, session string }
				each := make(map[key]int)
				first, last := make(map[string]int), make(map[string]int)
				for i, p := range requests {
					name := string(p.b[24:32]) // the value of USERNAME
					if each[key{p.addr.String(), name}]++; each[key{p.addr.String(), name}] > 16 {
						t.Fatalf("got more than 16 checks of one candidate")
					}
					if _, ok := first[name]; !ok {
						first[name] = i
					}
					last[name] = i
				}
				if got := mostAtOnce(first, last); got > tt.max {
					t.Errorf("got checks of %d sessions at a time, want at most %d", got, tt.max)
				}
				if len(first) < tt.max+1 {
					t.Errorf("got checks of %d sessions, want others to follow the first %d", len(first), tt.max)
				}
			})
		})
	}
}

// mostAtOnce returns how many of the intervals from first to last overlap at most.
func mostAtOnce(first, last map[string]int) (most int) {
	for _, at := range first {
		n := 0
		for name, from := range first {
			if from <= at && at <= last[name] {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// A peer that sends lists without end: 64 at most, then one a minute, never many at once,
// and in the end the newest.
func TestManyLists(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, m := newSocket(t)
		_, session := sessions()
		c := m.Check(session)
		sent := uint32(0)
		flood := func(n int, every time.Duration) (lists int) {
			for range n {
				sent++
				c.Remote(sent, []candidate.Candidate{udpAt(fmt.Sprintf("203.0.%d.%d:4600", sent/256, sent%256))})
				<-time.After(every)
			}
			to := make(map[netip.AddrPort]bool)
			requests, _ := s.take()
			for _, p := range requests {
				to[p.addr] = true
			}
			return len(to)
		}
		if got := flood(1000, 10*time.Millisecond); got < 10 || got > 13 {
			t.Errorf("1000 lists in 10 s: got %d taken, want one a second and 3 more", got)
		}
		flood(1000, 100*time.Millisecond)
		if got := flood(1200, 500*time.Millisecond); got < 9 || got > 11 {
			t.Errorf("when 64 were taken: got %d in 10 minutes, want one a minute", got)
		}
		<-time.After(time.Minute)
		requests, _ := s.take()
		newest := fmt.Sprintf("203.0.%d.%d:4600", sent/256, sent%256)
		if len(requests) == 0 || requests[len(requests)-1].addr.String() != newest {
			t.Errorf("got %d checks, want some of the newest list, to %s", len(requests), newest)
		}
	})
}

// A peer that sends true checks from 10,000 forged addresses.
func TestManySources(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, m := newSocket(t)
		s1, s2 := sessions()
		m.Check(s2)
		for i := range 10_000 {
			s.deliver(nat.NewCheck(s1, uint64(1000+i)), netip.MustParseAddrPort(fmt.Sprintf("203.0.113.%d:%d", i%200, 1000+i)))
			<-time.After(time.Millisecond)
		}
		<-time.After(time.Minute)
		requests, answers := s.take()
		each := make(map[netip.AddrPort]int)
		for _, p := range requests {
			if each[p.addr]++; each[p.addr] > 16 {
				t.Fatalf("got more than 16 checks to %s", p.addr)
			}
		}
		if len(each) == 0 || len(each) > 8 {
			t.Errorf("got checks to %d addresses, want 1 to 8", len(each))
		}
		if packets, _ := inAnySecond(answers); packets > 30 || len(answers) > 120 || len(answers) < 100 {
			t.Errorf("got %d answers, %d within a second, want 10 a second after the first 20", len(answers), packets)
		}
	})
}

// Many sessions have one limit of answers, and no answer is larger than its request.
func TestManyAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, m := newSocket(t)
		var others []nat.Session
		for i := range byte(100) {
			m.Check(nat.Session{ID: [16]byte{i}, Own: [32]byte{1, i}, Peer: [32]byte{2, i}})
			others = append(others, nat.Session{ID: [16]byte{i}, Own: [32]byte{2, i}})
		}
		largest := 0
		for i := range 20 {
			for n, o := range others {
				check := nat.NewCheck(o, uint64(1000+i))
				largest = max(largest, len(check))
				s.deliver(check, netip.MustParseAddrPort(fmt.Sprintf("[2001:db8::%d]:4600", 1+n)))
			}
			<-time.After(100 * time.Millisecond)
		}
		_, answers := s.take()
		if packets, _ := inAnySecond(answers); packets > 100 || len(answers) < 100 || len(answers) > 150 {
			t.Errorf("got %d answers in 2 s, %d within one, want 50 a second after the first 50", len(answers), packets)
		}
		for _, p := range answers {
			if len(p.b) > largest {
				t.Fatalf("got an answer of %d bytes to a request of %d", len(p.b), largest)
			}
		}
	})
}

// A check that somebody sends back to where it came from, and its answer from there.
func TestReflected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := ends(t)
		a.deliver(a.asks(t, 0, b), b.addr)
		requests, answers := a.take()
		if len(requests)+len(answers) > 0 {
			t.Errorf("got %d checks and %d answers, want none", len(requests), len(answers))
		}
		if got := a.provenNow(); len(got) > 0 {
			t.Errorf("got %v, want no pair", got)
		}
	})
}

// A host that forwards checks and answers proves its own address and no other one. Who
// is there, the handshake of the link tells.
func TestForwarded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := ends(t)
		middle := netip.MustParseAddrPort("203.0.113.66:4600")
		answer := b.answers(t, a.asks(t, 0, b), middle)
		a.deliver(answer, middle)
		if got := a.provenNow(); len(got) > 0 {
			t.Errorf("got %v, want no pair: that is not where the check went", got)
		}
	})
}

func FuzzMux(f *testing.F) {
	s1, s2 := sessions()
	f.Add(nat.NewCheck(s1, 1000), true)
	f.Add(nat.NewCheck(s2, 1000), true)
	f.Add(nat.AppendBinding(nil, [12]byte{1}, 100), false)
	f.Add([]byte{1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, false)
	f.Add(nat.NewCheck(s1, 1000)[:84], true)
	f.Fuzz(func(t *testing.T, b []byte, v6 bool) {
		s, m := newSocket(t)
		c := m.Check(s2)
		from := at
		if v6 {
			from = netip.MustParseAddrPort("[2001:db8::1]:4600")
		}
		m.Receive(b, from)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.sent) > 2 {
			t.Errorf("got %d packets, want at most an answer and a check", len(s.sent))
		}
		for _, p := range s.sent {
			if p.addr != from || len(p.b) > len(b) {
				t.Errorf("got %d bytes to %s, want no more than %d and only to %s", len(p.b), p.addr, len(b), from)
			}
		}
		if len(c.Proven()) > 0 {
			t.Error("got a pair without a check")
		}
	})
}
