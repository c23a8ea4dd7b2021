package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
)

// AtHubs says at which hubs a listener is, under which name and in which rooms. As and
// Rooms are those of [Offer].
type AtHubs struct {
	Hubs  []hub.URL
	As    string
	Rooms []string
}

// check puts the name and the rooms into the spelling of hubs.
func (a *AtHubs) check() error {
	if a.As == "" && len(a.Rooms) == 0 {
		return nil
	}
	flag := "--as is the name at a hub"
	if a.As = strings.ToLower(a.As); a.As == "" {
		flag = "--room is a room at a hub"
	} else if err := hub.CheckName(a.As); err != nil {
		return proto.Errorf(proto.Usage, "--as: %w", err)
	}
	var err error
	if a.Rooms, err = checkRooms(a.Rooms); err != nil {
		return err
	}
	if len(a.Hubs) == 0 {
		return proto.Hint(proto.Errorf(proto.Usage, "%s, and this node has no hub", flag), "mesh-hub join, or --hub URL")
	}
	return nil
}

// checkRooms returns the rooms in the spelling of hubs, each once.
func checkRooms(rooms []string) (list []string, err error) {
	for _, room := range rooms {
		room = strings.ToLower(room)
		if err := hub.CheckRoom(room); err != nil {
			return nil, proto.Errorf(proto.Usage, "--room: %w", err)
		}
		if !slices.Contains(list, room) {
			list = append(list, room)
		}
	}
	if len(list) > hub.MaxRooms {
		return nil, proto.Errorf(proto.Usage, "--room: a listener is in at most %d rooms", hub.MaxRooms)
	}
	return list, nil
}

// Reload makes a listener be at other hubs, under another name, in other rooms. It returns
// at once, with an error if something in to is not valid; then nothing has changed. Links
// go on, also those that a hub has introduced which is left.
func (w *Waiter) Reload(to AtHubs) error {
	if err := to.check(); err != nil {
		return err
	}
	if p := w.presence; p != nil {
		p.want(to)
		go p.bring()
	}
	return nil
}

// want notes what is wanted, and forgets what the user was told of anything else.
func (p *presence) want(to AtHubs) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key := range p.known {
		_, what, _ := strings.Cut(key, " ")
		room, isRoom := strings.CutPrefix(what, "room ")
		if isRoom && !slices.Contains(to.Rooms, room) || !isRoom && to.As != p.wanted.As {
			delete(p.known, key)
		}
	}
	p.wanted = to
}

func (p *presence) update(to AtHubs) {
	p.want(to)
	p.bring()
}

// bring brings the hubs to what is wanted. It blocks while they answer.
func (p *presence) bring() {
	p.updating.Lock()
	defer p.updating.Unlock()
	if p.ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	to := p.wanted
	p.mu.Unlock()
	var wg sync.WaitGroup
	defer wg.Wait()
	for url, h := range p.open {
		if slices.ContainsFunc(to.Hubs, func(u hub.URL) bool { return u.String() == url }) {
			wg.Go(func() { h.agents[0].Update(p.ctx, p.registers(to), to.Rooms, to.As == "") })
			continue
		}
		delete(p.open, url)
		p.forget(url)
		p.node.options.Board.LeftHub(h.urls[0].Name())
		wg.Go(func() {
			h.close() // until then requests come by that hub, and are answered
			p.say("left hub " + h.urls[0].Name())
		})
	}
	for _, u := range to.Hubs {
		if p.open[u.String()] == nil {
			p.open[u.String()] = p.node.openHubs([]hub.URL{u}, to.As == "", func(a *agent.Agent, u hub.URL) { p.begin(a, u, to) })
		}
	}
}

// begin completes the agent of a hub.
func (p *presence) begin(a *agent.Agent, u hub.URL, to AtHubs) {
	a.Registers, a.Rooms = p.registers(to), to.Rooms
	a.OnRegistered = func(_ hub.Register, got hub.Registered) { p.registered(u, got) }
	a.OnJoined = func(room string, err error) { p.joined(u, room, err) }
	a.OnState = func(err error) { p.state(u, err) }
	a.OnOffer = func(ctx context.Context, of agent.Offer) agent.Answer { return p.answer(ctx, u, of) }
}

func (p *presence) stop() {
	if p == nil {
		return
	}
	p.cancel()
	p.updating.Lock()
	defer p.updating.Unlock()
	var wg sync.WaitGroup
	for _, h := range p.open {
		wg.Go(h.close)
	}
	wg.Wait()
}

// forget forgets what the user was told of a hub.
func (p *presence) forget(url string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.told, url)
	for key := range p.known {
		if strings.HasPrefix(key, url+" ") {
			delete(p.known, key)
		}
	}
}

// registers returns what the hubs are told: the name that the user gave, or for a listener
// that lasts the name of this machine; and the kinds alone, so that the node is reached by
// its id without a name too.
func (p *presence) registers(to AtHubs) []hub.Register {
	if p.quiet {
		return nil
	}
	byID := hub.Register{Kinds: p.kinds()}
	name := to.As
	if name == "" && p.offer.lasts() {
		name = hostName()
	}
	if name == "" && !p.offer.lasts() {
		return []hub.Register{byID}
	}
	return []hub.Register{{Name: name, Kinds: byID.Kinds, Lasting: p.offer.lasts()}, byID}
}

// first notes what became of a name or room at a hub, and reports whether that is news.
func (p *presence) first(u hub.URL, what string, ok bool) bool {
	key := u.String() + " " + what
	p.mu.Lock()
	defer p.mu.Unlock()
	was, known := p.known[key]
	p.known[key] = ok
	return !known || was != ok
}

// registered handles what became of the name at a hub. A name that the user gave, and
// that another node has, ends the waiter when it begins.
func (p *presence) registered(u hub.URL, got hub.Registered) {
	if got.Name == "" {
		return
	}
	if got.Code == "" {
		p.node.options.Board.NamedAtHub(u.Name(), got.Name)
	}
	switch {
	case !p.first(u, "name "+got.Name, got.Code == ""):
		p.node.Log.Info("registered at the hub again", "hub", u.Name(), "name", got.Name, "code", got.Code)
	case got.Code == "":
		p.node.reporter.emit(event{Event: "online", Hub: u.Name(), Name: got.Name})
		p.say("at hub " + u.Name() + " this is " + got.Name)
	case p.begins() && p.offer.As != "":
		p.fail(nameError(u, got))
	default:
		p.say(fmt.Sprintf("warning: %s; others reach this node by its id", nameError(u, got)))
	}
}

// begins reports whether the hubs have not answered yet.
func (p *presence) begins() bool {
	select {
	case <-p.settled:
		return false
	default:
		return true
	}
}

// joined tells the user once what became of a room at a hub. A room that the hub refuses ends
// the waiter when it begins, as a name does.
func (p *presence) joined(u hub.URL, room string, err error) {
	switch {
	case !p.first(u, "room "+room, err == nil):
		p.node.Log.Info("room joined again", "hub", u.Name(), "room", room, "err", err)
	case err == nil:
		p.say("at hub " + u.Name() + " this node is in room " + room)
	case agent.CodeOf(err) == hub.CodeUnsupported:
		p.say("warning: hub " + u.Name() + " is of a version without rooms: nobody finds this node in room " + room)
	default:
		err = fmt.Errorf("hub %s: this node is not in room %s: %w", u.Name(), room, err)
		if p.begins() && refusesRoom(err) {
			p.fail(err)
			return
		}
		p.say("warning: " + err.Error())
	}
}

// refusesRoom reports whether a hub has said no to a room, and not that it cannot answer now.
func refusesRoom(err error) bool {
	return slices.Contains([]string{hub.CodeLimit, hub.CodeDenied, hub.CodeBadName}, agent.CodeOf(err))
}
