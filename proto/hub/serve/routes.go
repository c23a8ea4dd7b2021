package serve

import (
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strconv"
	"time"

	"mesh/proto/hub"
	"mesh/proto/hub/broker"
	"mesh/proto/identity"
)

// The number of elements in one answer, without the query limit and at most.
const (
	pageLimit = 100
	// MaxPage is the highest value of the query limit.
	MaxPage = 500
)

// List is a part of a list. Next, unless it is "", is the query after that asks for the
// part that follows.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitzero"`
}

// Status is what a hub tells its admin.
type Status struct {
	URL         string `json:"url"`
	Software    string `json:"software"`
	Connections int    `json:"connections"`
	Sessions    int    `json:"sessions"`
	Names       int    `json:"names"`
	Members     int    `json:"members"`
	Draining    bool   `json:"draining"`
}

// WhoAmI is what a hub knows of who asks. Node is absent at the hub's own socket.
type WhoAmI struct {
	Node     identity.ID `json:"node,omitzero"`
	Name     string      `json:"name,omitzero"`
	Scopes   []hub.Scope `json:"scopes"`
	Observed string      `json:"observed,omitzero"`
}

// NewInvite is the request to make an invite, whose secret half stays with its maker.
type NewInvite struct {
	Key     identity.ID `json:"key"`
	Name    string      `json:"name,omitzero"`
	Expires time.Time   `json:"expires"`
	Uses    int         `json:"uses"`
	ForS    int64       `json:"for_s,omitzero"`
	// Voucher is the text of the one that the invite carries, if it does.
	Voucher string `json:"voucher,omitzero"`
}

// NewMember is the request to add a member; Until is zero for no end.
type NewMember struct {
	Until time.Time `json:"until,omitzero"`
}

// paged is the query of lists.
var paged = []string{"limit", "after"}

// routes are all that the hub answers over HTTP, but for the WebSocket.
func (s *Server) routes() []route {
	b := s.o.Broker
	read, admin, invite := []hub.Scope{hub.ScopeRead}, []hub.Scope{hub.ScopeAdmin}, []hub.Scope{hub.ScopeInvite}
	own := []hub.Scope{hub.ScopeSelf, hub.ScopeAdmin}
	return append(s.publicRoutes(),
		route{method: "GET", path: "/api/v1/whoami", do: s.whoami},
		route{method: "GET", path: "/api/v1/peers", scopes: read, query: append([]string{"room", "online", "kind"}, paged...), do: s.peers},
		route{method: "GET", path: "/api/v1/peers/{peer}", scopes: read, do: func(c *call) (any, error) { return b.Peer(c.owner(), c.PathValue("peer")) }},
		route{method: "GET", path: "/api/v1/names", scopes: read, query: paged, do: viewedBy(b.Names)},
		route{method: "DELETE", path: "/api/v1/names/{name}", scopes: own, do: s.freeName},
		route{method: "GET", path: "/api/v1/rooms", scopes: read, query: paged, do: viewedBy(b.Rooms)},
		route{method: "GET", path: "/api/v1/rooms/{room}/peers", scopes: read, query: paged, do: s.roomPeers},
		route{method: "GET", path: "/api/v1/sessions", scopes: own, query: paged, do: viewedBy(b.Sessions)},
		route{method: "DELETE", path: "/api/v1/sessions/{session}", scopes: own, do: s.endSession},
		route{method: "GET", path: "/api/v1/invites", scopes: invite, query: paged, do: pageOf(b.Invites)},
		route{method: "POST", path: "/api/v1/invites", scopes: invite, do: s.addInvite},
		route{method: "DELETE", path: "/api/v1/invites/{invite}", scopes: invite, do: byNode("invite", b.RemoveInvite)},
		route{method: "GET", path: "/api/v1/members", scopes: admin, query: paged, do: pageOf(b.Members)},
		route{method: "PUT", path: "/api/v1/members/{node}", scopes: admin, do: s.addMember},
		route{method: "DELETE", path: "/api/v1/members/{node}", scopes: admin, do: byNode("node", b.RemoveMember)},
		route{method: "GET", path: "/api/v1/bans", scopes: admin, query: paged, do: pageOf(b.Bans)},
		route{method: "PUT", path: "/api/v1/bans/{what...}", scopes: admin, do: byText("what", b.AddBan)},
		route{method: "DELETE", path: "/api/v1/bans/{what...}", scopes: admin, do: byText("what", b.RemoveBan)},
		route{method: "GET", path: "/api/v1/tokens", scopes: admin, query: paged, do: pageOf(b.Tokens)},
		route{method: "DELETE", path: "/api/v1/tokens/{token}", scopes: admin, do: byText("token", b.RemoveToken)},
		route{method: "GET", path: "/api/v1/log", scopes: admin, query: paged, do: s.log},
		route{method: "GET", path: "/api/v1/status", scopes: append(invite, hub.ScopeAdmin), do: s.status},
		route{method: "GET", path: "/api/v1/export", scopes: admin, do: s.export},
		route{method: "POST", path: "/api/v1/drain", scopes: admin, do: s.drain},
	)
}

func (s *Server) whoami(c *call) (any, error) {
	w := WhoAmI{Node: c.caller.Node, Scopes: c.caller.Scopes}
	if c.at.from.IsValid() {
		w.Observed = observed(c.at.from)
	}
	if w.Node != (identity.ID{}) {
		w.Name = s.o.Broker.NameOf(w.Node)
	}
	return w, nil
}

func (s *Server) peers(c *call) (any, error) {
	page, err := c.page()
	if err != nil {
		return nil, err
	}
	q := broker.PeerQuery{Page: page, Viewer: c.owner(), Kind: hub.Kind(c.URL.Query().Get("kind")), Room: c.URL.Query().Get("room")}
	if q.Kind != "" && !slices.Contains([]hub.Kind{hub.KindPipe, hub.KindFiles, hub.KindTTY}, q.Kind) {
		return nil, malformed(errors.New("the query kind is pipe, files or tty"))
	}
	switch c.URL.Query().Get("online") {
	case "", "false":
	case "true":
		q.Online = true
	default:
		return nil, malformed(errors.New("the query online is true or false"))
	}
	return listed(s.o.Broker.Peers(q))
}

func (s *Server) freeName(c *call) (any, error) {
	name := c.PathValue("name")
	if node := c.owner(); node != (identity.ID{}) {
		return nil, s.o.Broker.ReleaseName(node, name)
	}
	return nil, s.o.Broker.FreeName(c.caller.By(), name)
}

func (s *Server) roomPeers(c *call) (any, error) {
	page, err := c.page()
	if err != nil {
		return nil, err
	}
	items, next, err := s.o.Broker.RoomPeers(c.owner(), c.PathValue("room"), page)
	if err != nil {
		return nil, err
	}
	return listed(items, next)
}

func (s *Server) endSession(c *call) (any, error) {
	id, err := hub.ParseID(c.PathValue("session"))
	if err != nil {
		return nil, malformed(err)
	}
	return nil, s.o.Broker.EndSession(c.owner(), id)
}

func (s *Server) addInvite(c *call) (any, error) {
	var n NewInvite
	if err := c.read(&n); err != nil {
		return nil, err
	}
	if n.Key == (identity.ID{}) {
		return nil, malformed(errors.New("the invite has no key"))
	}
	i := broker.Invite{Key: n.Key, Name: n.Name, Expires: n.Expires, Uses: n.Uses, ForS: n.ForS}
	if n.Voucher != "" {
		if err := s.addVoucher(&i, n.Voucher); err != nil {
			return nil, malformed(err)
		}
	}
	return nil, s.o.Broker.AddInvite(c.caller.By(), i)
}

// addVoucher notes the voucher that an invite carries. Its issuer must be one of this hub:
// taking the invite back revokes the id, which nobody else may choose.
func (s *Server) addVoucher(i *broker.Invite, text string) error {
	v, err := hub.ParseVoucher(text)
	switch {
	case err != nil:
		return err
	case v.Subject != i.Key || v.Hub != s.o.Key.ID() || v.Link != nil || v.CheckSigned() != nil:
		return errors.New("the voucher is not about the invite")
	case !s.o.Broker.IsIssuer(v.Issuer):
		return errors.New("hub_access does not list the voucher's issuer")
	}
	i.Voucher, i.Ends = v.ID, v.Expires.UTC()
	return nil
}

func (s *Server) addMember(c *call) (any, error) {
	id, err := identity.ParseID(c.PathValue("node"))
	if err != nil {
		return nil, malformed(err)
	}
	var n NewMember
	if err := c.read(&n); err != nil {
		return nil, err
	}
	return nil, s.o.Broker.AddMember(c.caller.By(), id, n.Until)
}

// log answers with lines after the one whose number the query after is.
func (s *Server) log(c *call) (any, error) {
	limit, err := c.limit()
	if err != nil {
		return nil, err
	}
	after := uint64(0)
	if text := c.URL.Query().Get("after"); text != "" {
		if after, err = strconv.ParseUint(text, 10, 63); err != nil {
			return nil, malformed(errors.New("the query after is the number of a line"))
		}
	}
	l := List[broker.Entry]{Items: []broker.Entry{}}
	lines, err := s.o.Broker.Log(after, limit)
	if err != nil {
		return nil, err
	}
	l.Items = append(l.Items, lines...)
	if len(lines) == limit {
		l.Next = strconv.FormatUint(lines[limit-1].N, 10)
	}
	return l, nil
}

func (s *Server) status(*call) (any, error) {
	n := s.o.Broker.Count()
	return Status{s.o.URL.String(), s.o.Software, n.Connections, n.Sessions, n.Names, n.Members, n.Draining}, nil
}

func (s *Server) export(*call) (any, error) {
	if s.o.Export == nil {
		return nil, errNoRoute
	}
	facts, err := s.o.Export()
	if err != nil {
		return nil, err
	}
	// The last line says whether the export is whole.
	return stream{"application/x-ndjson", func(w io.Writer) error { return broker.WriteExport(w, facts) }}, nil
}

func (s *Server) drain(*call) (any, error) {
	if s.o.Drain == nil {
		return nil, errNoRoute
	}
	s.o.Drain()
	return nil, nil
}

// pageOf returns the route of a list.
func pageOf[T any](list func(broker.Page) ([]T, string)) func(*call) (any, error) {
	return func(c *call) (any, error) {
		page, err := c.page()
		if err != nil {
			return nil, err
		}
		return listed(list(page))
	}
}

// viewedBy returns the route of a list that shows a node what it may see, and all to an
// admin.
func viewedBy[T any](list func(identity.ID, broker.Page) ([]T, string)) func(*call) (any, error) {
	return func(c *call) (any, error) {
		page, err := c.page()
		if err != nil {
			return nil, err
		}
		return listed(list(c.owner(), page))
	}
}

func listed[T any](items []T, next string) (any, error) {
	return List[T]{items, base64.RawURLEncoding.EncodeToString([]byte(next))}, nil
}

// page reads the query of a list.
func (c *call) page() (broker.Page, error) {
	limit, err := c.limit()
	if err != nil {
		return broker.Page{}, err
	}
	after, err := base64.RawURLEncoding.DecodeString(c.URL.Query().Get("after"))
	if err != nil {
		return broker.Page{}, malformed(errors.New("the query after is none that an answer had as next"))
	}
	return broker.Page{After: string(after), Limit: limit}, nil
}

func (c *call) limit() (int, error) {
	text := c.URL.Query().Get("limit")
	if text == "" {
		return pageLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > MaxPage {
		return 0, malformed(errors.New("the query limit is 1 to " + strconv.Itoa(MaxPage)))
	}
	return n, nil
}

// byNode returns the route whose path has a node id, or the id of an invite.
func byNode(name string, do func(by string, id identity.ID) error) func(*call) (any, error) {
	return func(c *call) (any, error) {
		id, err := identity.ParseID(c.PathValue(name))
		if err != nil {
			return nil, malformed(err)
		}
		return nil, do(c.caller.By(), id)
	}
}

func byText(name string, do func(by, text string) error) func(*call) (any, error) {
	return func(c *call) (any, error) { return nil, do(c.caller.By(), c.PathValue(name)) }
}
