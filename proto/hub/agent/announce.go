package agent

import (
	"context"
	"slices"

	"mesh/proto/hub"
)

// announce tells the hub the names and rooms of the agent after a login, then the waiting
// requests that the agent is logged in, and repeats the requests that have no outcome.
func (a *Agent) announce(ctx context.Context, c *Conn) {
	a.announcing.Lock()
	err := a.tell(ctx, c, true)
	if err == nil {
		a.setConn(c, nil)
	}
	a.announcing.Unlock()
	if err != nil {
		a.o.Log.Info("names and rooms are not announced at the hub", "err", err)
		return
	}
	if a.OnState != nil {
		a.OnState(nil)
	}
	a.repeatRequests(ctx, c)
}

// Update changes the names and rooms: those that are new are announced now, those that are
// no longer there are given back. Without a connection it takes effect with the next one.
// It blocks while the hub answers. If this node has other vouchers than it has shown, it logs
// in again, without a gap for others. [Agent.Registers], [Agent.Rooms] and [Agent.Invited] must
// not be changed in another way once Run runs.
func (a *Agent) Update(ctx context.Context, registers []hub.Register, rooms []string, invited bool) {
	a.announcing.Lock()
	defer a.announcing.Unlock()
	a.Registers, a.Rooms, a.Invited = registers, rooms, invited
	a.mu.Lock()
	c := a.conn
	a.mu.Unlock()
	if c == nil {
		return
	}
	if a.o.Vouchers != nil && !slices.Equal(a.o.Vouchers(c.Hub), c.shown) {
		c.renew.Store(true)
		_ = c.ws.CloseNow() // the next login announces everything; until then the hub keeps it
		return
	}
	if err := a.tell(ctx, c, false); err != nil {
		a.o.Log.Info("names and rooms are not announced at the hub", "err", err)
	}
}

// tell brings the hub up to date; after a login it tells everything. The error is that of
// the connection: what the hub says about one name or room is told to the agent's owner.
func (a *Agent) tell(ctx context.Context, c *Conn, login bool) error {
	registers := a.registers(c.Welcome)
	if err := a.giveBack(ctx, c, registers); err != nil {
		return err
	}
	for _, r := range registers {
		if a.named[r.Name] && !login {
			continue
		}
		if err := a.register(ctx, c, r); err != nil {
			return err
		}
	}
	for _, room := range a.Rooms {
		if a.joined[room] && !login {
			continue
		}
		if err := a.join(ctx, c, room); err != nil {
			return err
		}
	}
	return nil
}

// giveBack releases the names and leaves the rooms that the agent is no longer to have. The
// hub may know them from an earlier connection.
func (a *Agent) giveBack(ctx context.Context, c *Conn, registers []hub.Register) error {
	for name := range a.named {
		if name == "" || slices.ContainsFunc(registers, func(r hub.Register) bool { return r.Name == name }) {
			continue
		}
		if _, err := c.Call(ctx, hub.TypeRelease, &hub.Release{Name: name}); isLost(err) {
			return err
		}
		delete(a.named, name)
	}
	for room := range a.joined {
		if slices.Contains(a.Rooms, room) {
			continue
		}
		if _, err := c.Call(ctx, hub.TypeRoomLeave, &hub.RoomLeave{Room: room}); isLost(err) {
			return err
		}
		delete(a.joined, room)
	}
	return nil
}

// isLost reports whether err is no answer of the hub.
func isLost(err error) bool {
	_, answered := asHubError(err)
	return err != nil && !answered
}

func (a *Agent) register(ctx context.Context, c *Conn, r hub.Register) error {
	got := hub.Registered{Name: r.Name}
	e, err := c.Call(ctx, hub.TypeRegister, &r)
	if err == nil {
		err = e.Read(&got)
	} else if h, ok := asHubError(err); ok {
		got.Code, got.SinceS, got.Owner = h.Answer.Code, h.Answer.SinceS, h.Answer.Owner
		err = nil
	}
	if err != nil {
		return err
	}
	if got.Code == "" {
		a.named[r.Name] = true
	} else {
		delete(a.named, r.Name)
	}
	if a.OnRegistered != nil {
		a.OnRegistered(r, got)
	}
	return nil
}

func (a *Agent) join(ctx context.Context, c *Conn, room string) error {
	_, err := c.Call(ctx, hub.TypeRoomJoin, &hub.RoomJoin{Room: room})
	if isLost(err) {
		return err
	}
	if err == nil {
		a.joined[room] = true
	} else {
		delete(a.joined, room)
	}
	if a.OnJoined != nil {
		a.OnJoined(room, err)
	}
	return nil
}

// registers returns what to announce.
func (a *Agent) registers(w hub.Welcome) []hub.Register {
	out := append([]hub.Register(nil), a.Registers...)
	for i := range out {
		if out[i].Lasting && w.Name != "" && a.Invited {
			out[i].Name = w.Name
		}
	}
	return out
}
