package broker

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"mesh/proto/hub"
	"mesh/proto/identity"
)

// Access is what the file hub_access says, which people edit:
//
//	member mk1… [until=2027-01-01]     # may log in
//	admin mk1…                         # a member, who may use the commands of an admin
//	issuer mk1…                        # whoever shows an admit voucher by this key is a member
//	ban mk1… or ban 203.0.113.0/24     # may not log in
//	reserve NAME mk1…                  # only this node may register the name
//
// The zero Access says nothing.
type Access struct {
	members  map[identity.ID]time.Time // until; zero for no end
	admins   map[identity.ID]bool
	issuers  map[identity.ID]bool
	nodes    map[identity.ID]bool
	networks []netip.Prefix
	reserved map[string]identity.ID
}

// MaxAccessBytes bounds the file.
const MaxAccessBytes = 8 << 20

// ParseAccess reads the file's text. The error names the line.
func ParseAccess(text string) (Access, error) {
	a := Access{map[identity.ID]time.Time{}, map[identity.ID]bool{}, map[identity.ID]bool{}, map[identity.ID]bool{}, nil, map[string]identity.ID{}}
	if len(text) > MaxAccessBytes {
		return a, fmt.Errorf("hub_access of %d bytes, the limit is %d", len(text), MaxAccessBytes)
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := a.add(words); err != nil {
			return Access{}, fmt.Errorf("hub_access, line %d: %w", n, err)
		}
	}
	return a, nil
}

func (a *Access) add(words []string) error {
	switch {
	case words[0] == "ban" && len(words) == 2 && !strings.HasPrefix(words[1], "mk1"):
		p, err := parseNetwork(words[1])
		a.networks = append(a.networks, p)
		return err
	case words[0] == "reserve" && len(words) == 3:
		id, err := identity.ParseID(words[2])
		a.reserved[words[1]] = id
		if err != nil {
			return err
		}
		return hub.CheckName(words[1])
	case len(words) < 2:
		return fmt.Errorf("want member, admin, issuer, ban or reserve, and a node id")
	}
	id, err := identity.ParseID(words[1])
	if err != nil {
		return err
	}
	var until time.Time
	if words[0] == "member" && len(words) == 3 {
		date, ok := strings.CutPrefix(words[2], "until=")
		if until, err = time.Parse(time.DateOnly, date); !ok || err != nil {
			return fmt.Errorf("want until=YYYY-MM-DD")
		}
		words = words[:2]
	}
	if len(words) != 2 {
		return fmt.Errorf("%d words too many", len(words)-2)
	}
	return a.addNode(words[0], id, until)
}

func (a *Access) addNode(word string, id identity.ID, until time.Time) error {
	switch word {
	case "member":
		a.members[id] = until
	case "admin":
		a.members[id], a.admins[id] = time.Time{}, true
	case "issuer":
		a.issuers[id] = true
	case "ban":
		a.nodes[id] = true
	default:
		return fmt.Errorf("the line begins with none of member, admin, issuer, ban, reserve")
	}
	return nil
}

// IsIssuer reports whether hub_access says that the vouchers of a key make members.
func (a *Access) IsIssuer(id identity.ID) bool { return a.issuers[id] }

// IsIssuer reports whether the vouchers of a key make members.
func (b *Broker) IsIssuer(id identity.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.access.IsIssuer(id)
}

// parseNetwork reads an address or a prefix.
func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().Prefix(a.Unmap().BitLen())
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p != p.Masked() {
		return p, fmt.Errorf("want a node id, an address or a network such as 203.0.113.0/24")
	}
	return p, nil
}

func (a *Access) bans(node identity.ID, from netip.Addr) bool {
	if a.nodes[node] {
		return true
	}
	for _, p := range a.networks {
		if p.Contains(from) {
			return true
		}
	}
	return false
}

// SetAccess replaces what hub_access says. Nodes that are no members any more are disconnected.
func (b *Broker) SetAccess(a Access) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.access = a
	b.expel()
	b.flush()
}

// IsAdmin reports whether hub_access makes the node an admin.
func (b *Broker) IsAdmin(node identity.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.access.admins[node]
}

// expel disconnects the nodes that are no members, or are banned, and ends their
// sessions.
func (b *Broker) expel() {
	now := b.o.Now()
	b.prune(now)
	for _, c := range b.sorted() {
		mayStay := b.isMember(c.node, now) || c.guest && !b.removed(c.node)
		if mayStay && !b.banned(c.node, netip.Addr{}) {
			continue
		}
		if c.out != nil {
			c.out.Close(hub.CloseNoMember, "not a member of this hub")
		}
		b.log("member disconnected", "node", c.node.String())
		b.cancelOf(c)
		b.remove(c, now, hub.ReasonRemoved)
	}
}

// cancelOf ends the sessions of a client that is expelled, and tells the other ends.
func (b *Broker) cancelOf(c *client) {
	for s := range b.sessionsOf[c.party] {
		if s.dialer == c.party {
			b.tellAsked(s, hub.TypeCancelled)
			b.end(s)
		} else if s.accepted && s.listener == c.party {
			b.send(b.clients[s.dialer], hub.TypeClosed, nil, &hub.Closed{Session: s.request.Session, Reason: "removed"})
			b.end(s)
		}
	}
}
