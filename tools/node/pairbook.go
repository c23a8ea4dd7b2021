package node

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"mesh/proto"
	"mesh/proto/candidate"
	"mesh/proto/hub"
	"mesh/proto/identity"
)

// addrs returns the addresses among what the other end has told that may be dialled.
func (p *pairing) addrs(theirs []string) (list []string) {
	for _, addr := range theirs {
		if p.mayDial(addr) && !slices.Contains(list, addr) && len(list) < identity.MaxAddrs {
			list = append(list, addr)
		}
	}
	return list
}

func (p *pairing) mayDial(addr string) bool {
	if identity.CheckAddr(addr) != nil {
		return false
	}
	if at, err := netip.ParseAddrPort(addr); err == nil {
		return candidate.At(candidate.Host, candidate.TCP, at, 0).Dialable(p.local)
	}
	host, _, err := net.SplitHostPort(addr)
	return err == nil && (p.local || !proto.IsLoopbackHost(host))
}

// lastingAddrs returns where this node waits for good: at the addresses of the listener
// that was started last to serve many peers, else at the default port.
func (n *Node) lastingAddrs() []string {
	addrs, err := ListenerAddrs(n.Book)
	if err != nil {
		n.Warn(err)
	}
	if len(addrs) == 0 {
		if addrs, err = hostAddrs(DefaultPort, false); err != nil {
			n.Warn(err)
		}
	}
	return slices.DeleteFunc(addrs, func(addr string) bool { return identity.CheckAddr(addr) != nil })
}

// checkTerms refuses a name that cannot be given to a node.
func (n *Node) checkTerms(id identity.ID, t Terms) error {
	if err := CheckPairName(t.Name); err != nil {
		return err
	}
	known, found, err := n.Book.Lookup(t.Name)
	if err == nil && found && known.ID != id {
		err = proto.Errorf(proto.Identity, "peer %s is known with another key; nothing is changed", t.Name)
		return proto.Hint(err, "--name gives another name; if the key was changed on purpose: mesh-token peer forget "+t.Name)
	}
	return err
}

// CheckPairName returns an error with code [proto.Usage] unless a name may be given to a
// node: one of the address book that is no code.
func CheckPairName(name string) error {
	err := identity.CheckName(name)
	if err == nil && hub.IsCode(name) {
		err = fmt.Errorf("name %s: it has the form of a code", name)
	}
	if err != nil {
		return &proto.Error{Code: proto.Usage, Err: err}
	}
	return nil
}

// keep writes a node into the address book and into authorized_peers. undo puts both back.
// After an error nothing is changed.
func (n *Node) keep(id identity.ID, t Terms, addrs []string) (undo func() error, err error) {
	old, known, err := n.Book.Lookup(t.Name)
	if err != nil {
		return nil, err
	}
	caps, err := n.Book.Authorized(id)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		addrs = old.Addrs
	}
	if err := n.Book.Add(identity.Peer{Name: t.Name, ID: id, Addrs: addrs}); err != nil {
		return nil, err
	}
	undo = func() error {
		if known {
			err = n.Book.Add(old)
		} else {
			_, err = n.Book.Forget(t.Name)
		}
		return errors.Join(err, n.Book.Allow(id, caps))
	}
	if err := n.Book.Allow(id, t.Caps); err != nil {
		return nil, errors.Join(err, undo())
	}
	return undo, nil
}
