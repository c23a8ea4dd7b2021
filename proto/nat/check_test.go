package nat_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"mesh/proto/candidate"
	"mesh/proto/nat"
)

var at = netip.MustParseAddrPort("198.51.100.7:4600")

// The checks of one address, and those of a later round.
func TestCheckTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, m := newSocket(t)
		_, listener := sessions()
		c := m.Check(listener)
		begun := time.Now()
		times := func() (ms []int64) {
			<-time.After(time.Minute)
			requests, _ := s.take()
			for _, p := range requests {
				ms = append(ms, p.at.Sub(begun).Milliseconds())
			}
			begun = time.Now()
			return ms
		}
		c.Remote(0, []candidate.Candidate{udpAt(at.String())})
		want := []int64{0, 50, 100, 200, 400, 900, 1400, 1900, 2400, 2900, 3400, 3900, 4400, 4900}
		if got := times(); !slices.Equal(got, want) {
			t.Errorf("got checks after %v ms, want %v", got, want)
		}
		c.Again()
		if got := times(); !slices.Equal(got, want[:10]) {
			t.Errorf("again: got checks after %v ms, want %v", got, want[:10])
		}
		c.Remote(0, []candidate.Candidate{udpAt("198.51.100.8:4600")})
		if got := times(); len(got) > 0 {
			t.Errorf("a list that is not newer: got checks after %v ms, want none", got)
		}
		c.Close()
		c.Remote(1, []candidate.Candidate{udpAt(at.String())})
		c.Again()
		if got := times(); len(got) > 0 {
			t.Errorf("closed: got checks after %v ms, want none", got)
		}
	})
}

// ends returns two sockets whose ends of one session know each other's address.
type party struct {
	*socket
	*nat.Mux
	session nat.Session
	check   *nat.Checker
	addr    netip.AddrPort
}

func ends(t *testing.T) (a, b *party) {
	t.Helper()
	s1, s2 := sessions()
	a, b = &party{session: s1, addr: netip.MustParseAddrPort("198.51.100.1:4600")}, &party{session: s2, addr: at}
	for _, e := range []*party{a, b} {
		e.socket, e.Mux = newSocket(t)
		e.check = e.Mux.Check(e.session)
	}
	return a, b
}

// asks makes an end send a check to the other one, and returns it.
func (e *party) asks(t *testing.T, gen uint32, other *party) []byte {
	t.Helper()
	e.check.Remote(gen, []candidate.Candidate{udpAt(other.addr.String())})
	requests, _ := e.take()
	if len(requests) != 1 || requests[0].addr != other.addr {
		t.Fatalf("got requests %v, want one to %s", requests, other.addr)
	}
	return requests[0].b
}

// answers makes an end receive a check and returns its answer.
func (e *party) answers(t *testing.T, check []byte, from netip.AddrPort) []byte {
	t.Helper()
	e.deliver(check, from)
	_, answers := e.take()
	if len(answers) != 1 || answers[0].addr != from {
		t.Fatalf("got answers %v, want one to %s", answers, from)
	}
	return answers[0].b
}

func (e *party) provenNow() []nat.Pair {
	synctest.Wait()
	var pairs []nat.Pair
	for {
		select {
		case p, ok := <-e.check.Proven():
			if !ok {
				return pairs
			}
			pairs = append(pairs, p)
		default:
			return pairs
		}
	}
}

// An answer proves a pair only if it is the other end's, to a check of this end of the last
// 10 seconds, from where that went.
func TestAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := ends(t)
		answer := b.answers(t, a.asks(t, 0, b), a.addr)
		a.deliver(answer, netip.MustParseAddrPort("198.51.100.9:4600"))
		for i := range answer {
			forged := slices.Clone(answer)
			forged[i] ^= 1
			a.deliver(forged, b.addr)
		}
		if got := a.provenNow(); len(got) > 0 {
			t.Errorf("forged answers: got %v, want no pair", got)
		}
		if got := a.TypeOf(b.addr); got != "" {
			t.Errorf("forged answers: got type %q, want none", got)
		}
		<-time.After(30 * time.Millisecond)
		a.deliver(answer, b.addr)
		if got, want := a.provenNow(), (nat.Pair{Addr: b.addr, Type: candidate.Host, RTT: 30 * time.Millisecond}); len(got) != 1 || got[0] != want {
			t.Errorf("got %v, want %v", got, want)
		}
		a.deliver(answer, b.addr)
		a.check.Again()
		a.deliver(answer, b.addr)
		if got := a.provenNow(); len(got) > 0 {
			t.Errorf("the answer once more, and in a later round: got %v, want no pair", got)
		}
		for _, mapped := range []string{"198.51.100.7:4600", "[::ffff:198.51.100.7]:4600"} {
			if got := a.TypeOf(netip.MustParseAddrPort(mapped)); got != candidate.Host {
				t.Errorf("type of %s: got %q, want host", mapped, got)
			}
		}
		a.take() // what b's check made it ask
		for i, after := range []time.Duration{9 * time.Second, 11 * time.Second} {
			answer := b.answers(t, a.asks(t, uint32(1+i), b), a.addr)
			<-time.After(after)
			a.deliver(answer, b.addr)
			if got := a.provenNow(); len(got) != 1-i {
				t.Errorf("an answer after %v: got %v, want %d", after, got, 1-i)
			}
			a.take()
		}
	})
}

// A check is answered only if it is the other end's and was not there before.
func TestAsked(t *testing.T) {
	t.Parallel()
	other := netip.MustParseAddrPort("198.51.100.9:4600")
	s1, s2 := sessions()
	stranger := nat.Session{ID: s1.ID, Own: [32]byte{9}}
	elsewhere := nat.Session{ID: [16]byte{9}, Own: s1.Own}
	first := uint64(time.Now().UnixMicro())
	for name, tt := range map[string]struct {
		before, check []byte
		want          bool
	}{
		"true":                       {nil, nat.NewCheck(s1, first), true},
		"a later one":                {nat.NewCheck(s1, first), nat.NewCheck(s1, first+1), true},
		"an overtaken one":           {nat.NewCheck(s1, first), nat.NewCheck(s1, first-100), true},
		"replayed":                   {nat.NewCheck(s1, first), nil, false},
		"replayed from long ago":     {nat.NewCheck(s1, first), nat.NewCheck(s1, first-256), false},
		"our own, sent back":         {nil, nat.NewCheck(s2, first), false},
		"of a stranger":              {nil, nat.NewCheck(stranger, first), false},
		"of another session":         {nil, nat.NewCheck(elsewhere, first), false},
		"to a server":                {nil, nat.AppendBinding(nil, [12]byte{1}, 0), false},
		"cut off":                    {nil, nat.NewCheck(s1, first)[:60], false},
		"more behind it":             {nil, append(nat.NewCheck(s1, first), 0, 0, 0, 0), false},
		"padded after the signature": {nil, padded(nat.NewCheck(s1, first)), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, m := newSocket(t)
				m.Check(s2)
				if tt.before != nil {
					s.deliver(tt.before, at)
					s.take()
				}
				check := tt.check
				if check == nil {
					check = tt.before
				}
				s.deliver(check, other)
				requests, answers := s.take()
				if (len(answers) == 1) != tt.want || (len(requests) == 1) != tt.want {
					t.Errorf("got %d answers and %d checks, want them: %v", len(answers), len(requests), tt.want)
				}
			})
		})
	}
}

// padded returns a message with a further attribute behind FINGERPRINT.
func padded(check []byte) []byte {
	check = append(check, 0xc7, 0x4d, 0, 0)
	check[3] += 4
	return check
}

// No bit of a check may change.
func TestAskedAltered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, m := newSocket(t)
		s1, s2 := sessions()
		m.Check(s2)
		check := nat.NewCheck(s1, 1000)
		for i := range check {
			for bit := range 8 {
				forged := slices.Clone(check)
				forged[i] ^= 1 << bit
				s.deliver(forged, at)
				if requests, answers := s.take(); len(requests)+len(answers) > 0 {
					t.Errorf("bit %d of byte %d altered: got %d checks and %d answers, want none", bit, i, len(requests), len(answers))
				}
			}
		}
		s.deliver(check, at)
		if _, answers := s.take(); len(answers) != 1 {
			t.Errorf("the check itself: got %d answers, want 1", len(answers))
		}
	})
}

// An address from which a check came is checked once for several checks that come together,
// and never if nobody may send there.
func TestAskedBack(t *testing.T) {
	t.Parallel()
	s1, s2 := sessions()
	for addr, want := range map[string]int{"198.51.100.9:4600": 1, "127.0.0.1:4600": 0, "[fe80::1]:4600": 0} {
		synctest.Test(t, func(t *testing.T) {
			s, m := newSocket(t)
			m.Check(s2)
			for i := range uint64(3) {
				s.deliver(nat.NewCheck(s1, 1000+i), netip.MustParseAddrPort(addr))
			}
			if requests, answers := s.take(); len(requests) != want || len(answers) != 3 {
				t.Errorf("from %s: got %d checks and %d answers, want %d and 3", addr, len(requests), len(answers), want)
			}
		})
	}
}

// Addresses that were learned from checks are checked with each list, as nobody tells them,
// and each list lets others be learned.
func TestLearnedStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, m := newSocket(t)
		s1, s2 := sessions()
		c := m.Check(s2)
		number, source := uint64(1000), 0
		learn := func(n int) (checked int) {
			s.take()
			for range n {
				number, source = number+1, source+1
				s.deliver(nat.NewCheck(s1, number), netip.MustParseAddrPort(fmt.Sprintf("198.51.100.9:%d", source)))
			}
			requests, _ := s.take()
			addrs := make(map[netip.AddrPort]bool) // one is asked twice if a round comes at the same moment
			for _, p := range requests {
				addrs[p.addr] = true
			}
			return len(addrs)
		}
		if got := learn(10); got != 8 {
			t.Errorf("10 sources: got checks of %d, want 8", got)
		}
		for gen := range uint32(3) {
			<-time.After(10 * time.Second)
			s.take()
			c.Remote(gen, []candidate.Candidate{udpAt(at.String())})
			requests, _ := s.take()
			for _, want := range []string{at.String(), fmt.Sprintf("198.51.100.9:%d", 1+10*gen)} {
				if !slices.ContainsFunc(requests, func(p datagram) bool { return p.addr.String() == want }) {
					t.Errorf("list %d: got no check of %s", gen, want)
				}
			}
			if len(requests) != 9 {
				t.Errorf("list %d: got %d checks at once, want that of the list and 8", gen, len(requests))
			}
			if got := learn(10); got != 8 {
				t.Errorf("list %d, 10 sources: got checks of %d, want 8", gen, got)
			}
		}
	})
}

// Answers are given until the session is closed, also when this end has long stopped.
func TestAskedLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := ends(t)
		a.asks(t, 0, b)
		<-time.After(10 * time.Minute)
		a.take()
		a.deliver(b.asks(t, 0, a), b.addr)
		requests, answers := a.take()
		if len(requests) != 1 || len(answers) != 1 {
			t.Fatalf("got %d checks and %d answers, want one of each", len(requests), len(answers))
		}
		b.answers(t, requests[0].b, a.addr)
		a.check.Close()
		if _, ok := <-a.check.Proven(); ok {
			t.Error("got a pair, want a closed channel")
		}
		a.deliver(nat.NewCheck(b.session, uint64(time.Now().UnixMicro())+1000), b.addr)
		if requests, answers := a.take(); len(requests)+len(answers) > 0 {
			t.Errorf("closed: got %d checks and %d answers, want none", len(requests), len(answers))
		}
	})
}

// Two sessions whose ids begin with the same bytes, as a hostile dialer can choose them.
func TestSameName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, m := newSocket(t)
		var others []nat.Session
		for i := range byte(3) {
			own, other := nat.Session{ID: [16]byte{0: 1, 15: i}, Own: [32]byte{1, i}}, nat.Session{ID: [16]byte{0: 1, 15: i}, Own: [32]byte{2, i}}
			own.Peer, other.Peer = other.Own, own.Own
			m.Check(own)
			others = append(others, other)
		}
		for i, o := range others {
			s.deliver(nat.NewCheck(o, 1000), netip.MustParseAddrPort(fmt.Sprintf("198.51.100.%d:4600", 10+i)))
			if _, answers := s.take(); len(answers) != 1 {
				t.Errorf("session %d: got %d answers, want 1", i, len(answers))
			}
		}
	})
}

// The example of RFC 8489, appendix B.1, as erratum 6268 has it.
func TestMAC(t *testing.T) {
	t.Parallel()
	key := sha256.Sum256([]byte("\u30DE\u30C8\u30EA\u30C3\u30AF\u30B9:example.org:TheMatrIX"))
	message, err := hex.DecodeString("000100902112a44278ad3433c6ad72c029da412e" +
		"001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704" +
		"001500296f624d61744a6f7332414141" + "43662f2f3439396b39353464364f4c33346f4c394653547679363473" + "41000000" +
		"0014000b6578616d706c652e6f726700" + "001d000400020000")
	if err != nil {
		t.Fatal(err)
	}
	const want = "b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65"
	if got := hex.EncodeToString(nat.MAC(key, message)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
