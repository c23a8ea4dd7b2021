package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/tools/cmdline"
	"mesh/tools/node"
	"mesh/tools/nodeflags"
)

// maxPages bounds the pages of a hub's list of peers: as many as the names that a hub has.
const maxPages = 1000

// everybody prints who is online at any hub of this node. A hub that does not answer is a
// warning, and an error if no other one does.
func everybody(ctx context.Context, home string, o whoOptions, s cmdline.Streams) error {
	hubs, err := nodeflags.Options{State: home, Hub: o.hub}.Hubs()
	if err == nil && len(hubs) == 0 {
		err = errNoHub()
	}
	if err != nil {
		return err
	}
	lists, failed := make([][]hub.Peer, len(hubs)), make([]error, len(hubs))
	var wg sync.WaitGroup
	for i, u := range hubs {
		wg.Go(func() { lists[i], failed[i] = onlineAt(ctx, home, u, s) })
	}
	wg.Wait()
	if !slices.Contains(failed, nil) {
		return failed[0]
	}
	for _, err := range failed {
		if err != nil {
			fmt.Fprintln(s.Err, "warning: "+proto.EscapeText(err.Error()))
		}
	}
	return printPeers(merge(lists), o.json, s)
}

func errNoHub() error {
	return proto.Hint(proto.Errorf(proto.Usage, "this node has no hub"), "mesh-hub join INVITE uses one")
}

// onlineAt returns who is online at a hub, as far as this node may know.
func onlineAt(ctx context.Context, home string, u hub.URL, s cmdline.Streams) (list []hub.Peer, err error) {
	key, err := node.LoadKey(home)
	if err != nil {
		return nil, err
	}
	a, err := networkAdmin(ctx, home, u, hub.NewToken{Scopes: []hub.Scope{hub.ScopeRead}}, s)
	if err == nil {
		n := 0
		err = pages(ctx, a, "peers?online=true", "", func(part []hub.Peer) error {
			if n++; n > maxPages {
				return proto.Errorf(proto.Protocol, "the hub lists its peers without end")
			}
			list = append(list, part...)
			return nil
		})
	}
	if err != nil && !errors.Is(err, agent.ErrLogin) { // whose text names the hub
		err = fmt.Errorf("hub %s: %w", u.Name(), err)
	}
	// The login for this question does not make this node a peer.
	return slices.DeleteFunc(list, func(p hub.Peer) bool { return p.Node == key.ID() && len(p.Kinds) == 0 }), err
}

// merge returns each name of each node once, the nameless last.
func merge(lists [][]hub.Peer) []hub.Peer {
	type nameOf struct {
		name string
		node identity.ID
	}
	all := make(map[nameOf]hub.Peer)
	for _, list := range lists {
		for _, p := range list {
			key := nameOf{p.Name, p.Node}
			if old, found := all[key]; found {
				p.SinceS = max(p.SinceS, old.SinceS)
				p.Kinds = slices.Compact(slices.Sorted(slices.Values(slices.Concat(p.Kinds, old.Kinds))))
			}
			all[key] = p
		}
	}
	list := slices.Collect(maps.Values(all))
	sort.Slice(list, func(i, j int) bool {
		x, y := &list[i], &list[j]
		return cmp.Or(-cmp.Compare(min(len(x.Name), 1), min(len(y.Name), 1)), strings.Compare(x.Name, y.Name), strings.Compare(x.Node.String(), y.Node.String())) < 0
	})
	return list
}

func printPeers(list []hub.Peer, asJSON bool, s cmdline.Streams) error {
	if asJSON {
		text, err := json.Marshal(struct {
			Items []hub.Peer `json:"items"`
		}{append([]hub.Peer{}, list...)})
		if err != nil {
			return err
		}
		return s.PrintLine(string(text))
	}
	var b strings.Builder
	for _, p := range list {
		b.WriteString(whoLine(p.Node, p.Name, p.Kinds, true, p.SinceS))
	}
	return printAll(s, b.String())
}
