package broker

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

// Involved returns how many parties the broker holds for those of a session.
func (b *Broker) Involved() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sessionsOf)
}

// Resting returns how many plates are avoided.
func (b *Broker) Resting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.codes.had) + len(b.codes.resting)
}

// Fill puts n things of a kind into the broker that mean nothing, up to n in all.
func (b *Broker) Fill(what string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := func(i int) (id identity.ID) {
		binary.BigEndian.PutUint64(id[8:], uint64(i)+1)
		return id
	}
	now := b.o.Now()
	for i := 0; b.size(what) < n; i++ {
		switch what {
		case "members":
			b.facts.members[id(i)] = &Member{Node: id(i)}
		case "names":
			text := fmt.Sprint("filler", i)
			b.facts.names[text] = &name{Name: Name{Name: text, Node: id(i), Online: now, Lasting: true}}
		case "bans":
			b.facts.bans[fmt.Sprint("filler", i)] = &Ban{}
		case "rooms":
			b.rooms[fmt.Sprint("filler", i)] = &room{name: fmt.Sprint("filler", i)}
		case "sessions":
			b.sessions[hub.NewID()] = &session{}
		case "requests":
			b.requests.of[id(i)] = &bucket{used: 1, last: now}
		case "failed":
			b.failed.of[netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)] = &bucket{used: 1, last: now}
		}
	}
}

func (b *Broker) size(what string) int {
	return map[string]int{
		"members": len(b.facts.members), "names": len(b.facts.names), "bans": len(b.facts.bans), "rooms": len(b.rooms),
		"sessions": len(b.sessions), "requests": len(b.requests.of), "failed": len(b.failed.of),
	}[what]
}

// SetServing makes a node have n open sessions as a listener.
func (b *Broker) SetServing(node identity.ID, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.serving[node] = n
}
