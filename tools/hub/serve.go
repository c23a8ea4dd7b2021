package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"mesh/pipe/local"
	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/boltstore"
	"mesh/proto/hub/broker"
	"mesh/proto/hub/serve"
	"mesh/proto/identity"
	"mesh/proto/relay"
	"mesh/proto/statefile"
	"mesh/proto/token"
	"mesh/tools/cmdline"
	"mesh/tools/service"
)

// The files of a hub in the state folder, beside [boltstore.FileName].
const (
	keyFile    = "hub.key"
	accessFile = "hub_access"
	socketFile = "hub.sock"
	exportFile = "hub.export"
)

const (
	// lookEvery is how often the hub looks whether hub_access or the certificate has
	// changed.
	lookEvery = time.Second
	// exportEvery is how often the facts are written to hub.export; keepExports is how
	// many of those files are kept.
	exportEvery = 24 * time.Hour
	keepExports = 7
	// closeGrace is how long the hub waits, beyond the time of its drain, for the last
	// connections.
	closeGrace = time.Second
)

// server is a mesh-hub serve that runs.
type server struct {
	o       serveOptions
	streams cmdline.Streams
	log     *slog.Logger
	events  *slog.Logger // what a log has without -v
	key     *identity.Key
	store   *boltstore.Store
	broker  *broker.Broker
	relay   *relay.Server  // nil if the hub is no relay itself
	relays  *serve.Relays  // nil without relays
	stun    *stunServer    // nil if the hub is no STUN server
	access  *watched       // hub_access
	revoked *watched       // revoked_tokens
	metrics *serve.Metrics // nil without --metrics
	hub     *serve.Server
	stop    context.CancelFunc // ends the hub as SIGTERM does
	manager *service.Manager
	wg      sync.WaitGroup
}

// runServe runs the hub until ctx ends, and sends its clients away then.
func runServe(ctx context.Context, o serveOptions, s cmdline.Streams) (err error) {
	if err := s.RequireOut(); err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	h := &server{o: o, streams: s, log: s.Logger(o.verbose), stop: stop, manager: service.New()}
	h.events = eventLog(s, h.log)
	defer h.manager.Stop()
	if err := h.openState(); err != nil {
		return err
	}
	defer func() {
		h.export()
		err = errors.Join(err, h.store.Close())
	}()
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return cmdline.ListenError(err, "--listen")
	}
	defer l.Close()
	plain, err := h.openRelays(l.Addr())
	if err != nil {
		return err
	}
	if plain != nil {
		defer plain.Close()
	}
	if err := h.openSTUN(l.Addr()); err != nil {
		return err
	}
	if h.stun != nil {
		defer h.stun.close()
	}
	if err := h.newServer(l.Addr()); err != nil {
		return err
	}
	err = h.run(running, l, plain)
	if err == nil {
		err = context.Cause(ctx) // nil after mesh-hub drain
	}
	return err
}

// eventLog returns the log of what a hub or a relay does as a whole: log, if the streams
// have none for events.
func eventLog(s cmdline.Streams, log *slog.Logger) *slog.Logger {
	if events := s.Events(); events != nil {
		return events
	}
	return log
}

// openState opens the files in the state folder.
func (h *server) openState() (err error) {
	if h.key, err = identity.LoadKeyFile(h.path(keyFile)); err != nil {
		return err
	}
	if h.store, err = boltstore.Open(h.path(boltstore.FileName)); err != nil {
		return h.storeHint(err)
	}
	h.metrics = h.newMetrics()
	h.broker, err = broker.New(h.store, broker.Options{
		Hub: h.key.ID(), APIKey: h.key.Derive(hub.APIKeyLabel), Meter: h.metrics, Revoked: token.NewRegistry(h.key, identity.Book{Dir: h.o.home}).Revoked,
		Revoke: func(id token.ID) error { return token.Revoke(h.o.home, id) },
		SignJoined: func(seed, node identity.ID, until time.Time) *hub.Joined {
			return hub.SignJoined(h.key, seed, node, until)
		},
		RoomsOnly: h.o.visible == visibleRooms, Guests: h.o.guests, Relays: h.relayOf, Doors: h.doors, STUN: h.stunServers,
		Log: func(m string, args ...any) { h.log.Info(m, args...) },
	})
	if err != nil { // it has facts that no hub writes
		err = proto.Errorf(proto.Config, "%s: %w", h.path(boltstore.FileName), err)
	} else {
		h.access, h.revoked = &watched{path: h.path(accessFile)}, &watched{path: h.path(token.RevokedFile)}
		h.revoked.changed()
		err = h.readAccess()
	}
	if err != nil {
		_ = h.store.Close()
	}
	return err
}

func (h *server) path(name string) string { return filepath.Join(h.o.home, name) }

// storeHint says what to do about a file that does not open.
func (h *server) storeHint(err error) error {
	switch {
	case errors.Is(err, boltstore.ErrInUse):
		return proto.Hint(err, "stop the other mesh-hub serve, or set MESH_HOME to another folder")
	case errors.Is(err, boltstore.ErrDamaged):
		db, export := h.path(boltstore.FileName), h.path(exportFile)
		if _, missing := os.Stat(export); missing != nil {
			export = "FILE" // whatever the admin has kept of mesh-hub export
		}
		return proto.Hint(err, fmt.Sprintf("to go on with the last export, run: mv %q %q && mesh-hub import %q", db, db+".damaged", export))
	}
	return err
}

// newServer makes the server of the network.
func (h *server) newServer(bound net.Addr) error {
	o := serve.Options{
		Key: h.key, Broker: h.broker, URLs: h.o.urls, Proxies: h.o.proxies, Max: h.o.max,
		Software: software(), Log: h.log, Metrics: h.metrics, Relay: h.relay, URL: h.url(bound), Ready: h.store.Broken, Export: h.store.Load, Drain: h.stop,
	}
	if h.o.cert != "" {
		cert, err := openCertificate(h.o.cert, h.o.key, h.log)
		if err != nil {
			return err
		}
		o.Certificate = cert.get
	}
	if h.stun != nil {
		o.STUN = h.stun.Server
	}
	var err error
	h.hub, err = serve.New(o)
	return err
}

func software() string {
	text := "mesh " + cmdline.VersionText()
	return text[:min(len(text), hub.MaxAgentBytes)]
}

// url returns what members use for the hub.
func (h *server) url(bound net.Addr) hub.URL {
	u := hub.URL{TLS: true}
	if len(h.o.urls) > 0 {
		u = h.o.urls[0]
	} else {
		u.Host = reachable(bound)
	}
	u.Key, u.Proxy = h.key.ID(), len(h.o.proxies) > 0
	return u
}

// run serves until ctx ends, and then for the time of the drain. Once it has printed what
// members paste, members and admins can reach the hub.
// The relay's plain door is at the listener plain, if that is not nil.
func (h *server) run(ctx context.Context, l, plain net.Listener) error {
	closeMetrics, err := openMetrics(h.o.metrics, h.hub.MetricsHandler, h.log)
	if err != nil {
		return err
	}
	closeSocket := h.openSocket()
	defer h.post(l.Addr())()
	if err := h.streams.PrintLine("mesh-hub join " + h.url(l.Addr()).String()); err != nil {
		closeSocket()
		closeMetrics()
		return err
	}
	hangups, stop := h.o.takeHangups()
	defer stop()
	alive, end := context.WithCancel(context.WithoutCancel(ctx)) // outlives ctx by the drain
	defer end()
	ended := make(chan error, 1) // sent by the goroutine that serves; never closed
	h.wg.Go(func() { ended <- h.hub.Serve(alive, l) })
	h.wg.Go(func() { h.hub.Sweep(alive) })
	h.wg.Go(func() { h.maintain(alive, hangups) })
	h.serveRelays(alive, plain)
	h.serveSTUN(alive)
	h.manager.Ready()
	h.events.Info("hub serves", "at", l.Addr(), "hub", h.key.ID())
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	h.stop()
	h.drain(alive)
	closeSocket()
	closeMetrics()
	h.hub.Close()
	end()
	h.wg.Wait()
	return err
}

// drain sends the clients away, and waits until they have gone.
func (h *server) drain(ctx context.Context) {
	h.manager.Stopping()
	h.events.Info("hub drains", "connections", h.hub.Open(), "for", h.o.drain)
	h.broker.Drain(h.o.drain, nil)
	relayed := h.drainRelay(ctx)
	defer relayed()
	ctx, cancel := context.WithTimeout(ctx, h.o.drain+closeGrace)
	defer cancel()
	tick := time.NewTicker(broker.SweepEvery)
	defer tick.Stop()
	for h.hub.Open() > 0 && ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// maintain reads hub_access again when it has changed, or after a SIGHUP, exports the
// facts once a day, and tells the service manager that the hub is alive.
func (h *server) maintain(ctx context.Context, hangups <-chan os.Signal) {
	look, export := time.NewTicker(lookEvery), time.NewTicker(exportEvery)
	defer look.Stop()
	defer export.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-export.C:
			h.export()
		case <-h.manager.Due:
			h.broker.Count() // a broker that hangs is not alive
			h.manager.Alive()
		case <-hangups:
			h.manager.Reloading()
			h.reload()
			h.manager.Ready()
		case <-look.C:
			if h.access.changed() {
				h.reload()
			}
			if h.revoked.changed() {
				h.broker.Recheck()
			}
		}
	}
}

// reload reads hub_access. A mistake in it is told, and changes nothing.
func (h *server) reload() {
	if err := h.readAccess(); err != nil {
		h.streams.Complain(fmt.Errorf("members and bans stay as they were: %w", err))
		return
	}
	h.events.Info("hub_access was read", "path", h.access.path)
}

func (h *server) readAccess() error {
	h.access.changed() // notes what is read now
	text, err := statefile.Read(h.access.path, broker.MaxAccessBytes)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	a, err := broker.ParseAccess(string(text))
	if err != nil {
		return proto.Errorf(proto.Config, "in %s: %w", h.o.home, err)
	}
	h.broker.SetAccess(a)
	return nil
}

// export writes all facts to hub.export, and keeps the older ones.
func (h *server) export() {
	facts, err := h.store.Load()
	if err == nil {
		err = writeExport(h.path(exportFile), facts)
	}
	if err != nil {
		h.streams.Complain(fmt.Errorf("write %s: %w", exportFile, err))
	}
}

// openSocket makes the socket of the admin's commands. A hub without it goes on.
func (h *server) openSocket() (closeSocket func()) {
	l, err := local.Listen(h.path(socketFile))
	if err != nil {
		h.streams.Complain(fmt.Errorf("the admin's commands can't reach the hub: %w", err))
		return func() {}
	}
	s := &http.Server{Handler: h.hub.Owner(), ReadTimeout: adminTimeout, WriteTimeout: adminTimeout, MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug)}
	h.wg.Go(func() { _ = s.Serve(l) })
	return func() {
		// The command that ends the hub waits for its answer.
		ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
		defer cancel()
		_ = s.Shutdown(ctx)
		_ = s.Close()
	}
}
