package broker

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/proto/token"
)

// Store keeps the facts of a hub and the log of their changes.
type Store interface {
	// Load returns all facts, when the hub starts.
	Load() ([]Fact, error)
	// Write makes the changes and appends the entry to the log, in one transaction. When
	// it returns nil, both are on disk. It sets the number of the entry.
	Write(e Entry, changes ...Fact) error
	// Log returns up to limit entries with a number above after, the oldest first.
	Log(after uint64, limit int) ([]Entry, error)
}

// Fact is one fact of a hub. Its key is "member/ID", "invite/ID", "name/NAME",
// "ban/WHAT" or "token/ID", its value the JSON of a [Member], [Invite], [Name], [Ban] or
// [Token]. A change with
// an empty value deletes the fact.
type Fact struct {
	Key   string
	Value []byte
}

// Entry is a line of the log: who did what, and when. By is a node id, "admin", or
// "invite:" and the key of the invite.
type Entry struct {
	N    uint64      `json:"n"`
	At   time.Time   `json:"at"`
	By   string      `json:"by"`
	Op   string      `json:"op"`
	Name string      `json:"name,omitzero"`
	Node identity.ID `json:"node,omitzero"`
	What string      `json:"what,omitzero"`
}

// Member is a node that may log in. A member that was removed stays as a fact with the
// time of its removal, so that no invite lets it in again. Until is zero if the
// membership has no end.
type Member struct {
	Node    identity.ID `json:"node"`
	Name    string      `json:"name,omitzero"`
	Since   time.Time   `json:"since"`
	Until   time.Time   `json:"until,omitzero"`
	Removed time.Time   `json:"removed,omitzero"`
	Invite  identity.ID `json:"invite,omitzero"`
}

// Invite makes members, once for each use. Key is the public half of its seed; For is
// how long the membership lasts, 0 for no end. Voucher is the id of the voucher that it
// carries, if it does, and Ends the end of that.
type Invite struct {
	Key     identity.ID `json:"key"`
	Name    string      `json:"name,omitzero"`
	By      string      `json:"by"`
	Made    time.Time   `json:"made"`
	Expires time.Time   `json:"expires"`
	Uses    int         `json:"uses"`
	Used    int         `json:"used,omitzero"`
	ForS    int64       `json:"for_s,omitzero"`
	Voucher token.ID    `json:"voucher,omitzero"`
	Ends    time.Time   `json:"ends,omitzero"`
}

// Name is a name and the node that it belongs to. Online is when it was last online,
// give or take [TouchEvery].
type Name struct {
	Name    string      `json:"name"`
	Node    identity.ID `json:"node"`
	Since   time.Time   `json:"since"`
	Online  time.Time   `json:"online"`
	Lasting bool        `json:"lasting"`
}

// Ban keeps a node or a network out. What is a node id or a prefix such as
// 203.0.113.0/24.
type Ban struct {
	What string    `json:"what"`
	By   string    `json:"by"`
	At   time.Time `json:"at"`
}

func memberKey(id identity.ID) string { return "member/" + id.String() }
func inviteKey(id identity.ID) string { return "invite/" + id.String() }
func nameKey(name string) string      { return "name/" + name }
func banKey(what string) string       { return "ban/" + what }

// fact returns the change that stores a value.
func fact(key string, value any) (Fact, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return Fact{}, fmt.Errorf("store %s: %w", key, err)
	}
	if len(text) > MaxFactBytes {
		return Fact{}, fmt.Errorf("store %s: %d bytes, the limit is %d", key, len(text), MaxFactBytes)
	}
	return Fact{key, text}, nil
}

// CheckFact returns an error unless the fact is one that a Broker stores.
func CheckFact(f Fact) error {
	return newFacts().add(f)
}

// facts are all facts in memory.
type facts struct {
	members map[identity.ID]*Member
	invites map[identity.ID]*Invite
	names   map[string]*name
	bans    map[string]*Ban
	tokens  map[string]*Token
}

func newFacts() *facts {
	return &facts{map[identity.ID]*Member{}, map[identity.ID]*Invite{}, map[string]*name{}, map[string]*Ban{}, map[string]*Token{}}
}

// add takes a fact from the store.
func (s *facts) add(f Fact) error {
	if len(f.Value) > MaxFactBytes {
		return fmt.Errorf("fact %s: %d bytes, the limit is %d", f.Key, len(f.Value), MaxFactBytes)
	}
	class, _, _ := strings.Cut(f.Key, "/")
	var key string
	var err error
	switch class {
	case "member":
		m := new(Member)
		err = json.Unmarshal(f.Value, m)
		s.members[m.Node], key = m, memberKey(m.Node)
	case "invite":
		i := new(Invite)
		err = json.Unmarshal(f.Value, i)
		s.invites[i.Key], key = i, inviteKey(i.Key)
	case "name":
		n := new(name)
		err = json.Unmarshal(f.Value, &n.Name)
		err = errors.Join(err, hub.CheckName(n.Name.Name))
		n.written = n.Online
		s.names[n.Name.Name], key = n, nameKey(n.Name.Name)
	case "ban":
		ban := new(Ban)
		err = json.Unmarshal(f.Value, ban)
		if text, bad := banText(ban.What); bad != nil || text != ban.What {
			err = errors.Join(err, errors.New("a ban names a node id or a network"))
		}
		s.bans[ban.What], key = ban, banKey(ban.What)
	case "token":
		t := new(Token)
		err = json.Unmarshal(f.Value, t)
		err = errors.Join(err, checkToken(t))
		s.tokens[t.ID], key = t, tokenKey(t.ID)
	default:
		return fmt.Errorf("fact %q is of an unknown kind", f.Key)
	}
	if err != nil {
		return fmt.Errorf("fact %s: %w", f.Key, err)
	}
	if key != f.Key {
		return fmt.Errorf("fact %s: its value is that of %s", f.Key, key)
	}
	return nil
}
