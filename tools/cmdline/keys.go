package cmdline

import (
	"slices"
	"strings"

	"mesh/tools/config"
)

// Setting is a key of config.toml and the flag that it sets. The environment
// variable MESH_SECTION_KEY sets the same flag.
type Setting struct {
	// Key is the section and the name: inbox.max-size. A key of the section [call] can
	// be in each [peers.NAME] too, which takes precedence when NAME is called, and in each
	// [jobs.NAME], which takes precedence over that in the job NAME.
	Key  string
	Kind config.Kind
	// Flag is the name of the flag, and Tools are the tools that read it from here.
	// A key without tools is read by [PeerSetting], [DaemonStreams], [ReadReach], [ReadNotify],
	// or who watches the file.
	Flag  string
	Tools []string
}

var (
	listens = []string{"listen"}
	hubs    = []string{"hub"}
	bulk    = []string{"cat", "recv"}
	calls   = slices.Concat(bulk, views)
	views   = []string{"tty"}
	links   = slices.Concat(calls, listens)
	pings   = slices.Concat(calls, []string{"ping"})
)

// Settings is the only list of keys. A test compares it with the flags of the tools
// and with the manual page.
var Settings = []Setting{
	{"hub", config.Texts, "hub", slices.Concat(links, []string{"ping", "pair", "token", "hub"})},
	{"log", config.Text, "", nil},

	{"listen.listen", config.Text, "listen", listens},
	{"listen.addr", config.List, "addr", listens},
	{"listen.as", config.Text, "as", listens},
	{"listen.room", config.List, "room", listens},
	{"listen.token-file", config.Text, "token-file", listens},
	{"listen.show-token", config.Bool, "show-token", listens},
	{"listen.token-only", config.Bool, "token-only", listens},
	{"listen.ttl", config.Text, "ttl", listens},
	{"listen.wait", config.Text, "wait", listens},
	{"listen.max", config.Number, "max", listens},
	{"listen.once", config.Bool, "once", listens},
	{"listen.via", config.Text, "via", listens},
	{"listen.resume-for", config.Text, "resume-for", listens},
	{"listen.window", config.Size, "window", listens},
	{"listen.spool", config.Size, "spool", listens},
	{"listen.limit-rate", config.Text, "limit-rate", listens},
	{"listen.metrics", config.Text, MetricsName, listens},
	{"listen.deadline", config.Text, "deadline", listens},
	{"listen.events", config.Text, "events", listens},
	{"listen.quiet", config.Bool, "quiet", listens},
	{"listen.verbose", config.Count, "verbose", listens},

	{"inbox.dir", config.Text, "inbox", listens},
	{"inbox.by-peer", config.Bool, "by-peer", listens},
	{"inbox.name", config.Text, "name", listens},
	{"inbox.force", config.Bool, "force", listens},
	{"inbox.rename", config.Bool, "rename", listens},
	{"inbox.portable", config.Bool, "portable", listens},
	{"inbox.any-names", config.Bool, "any-names", listens},
	{"inbox.keep", config.Number, "", nil},
	{"inbox.max-size", config.Size, "max-size", listens},
	{"inbox.max-files", config.Number, "max-files", listens},
	{"inbox.on-receive", config.Text, "on-receive", listens},
	{"inbox.on-receive-timeout", config.Text, "on-receive-timeout", listens},

	{"tty.audit", config.Text, "audit", views},
	{"tty.control", config.Bool, "control", views},
	{"tty.history", config.Size, "history", views},
	{"tty.size", config.Text, "size", views},

	{"call.wait", config.Text, "wait", pings},
	{"call.via", config.Text, "via", pings},
	{"call.flows", config.Size, "flows", bulk}, // a number, or "auto"
	{"call.resume-for", config.Text, "resume-for", calls},
	{"call.window", config.Size, "window", bulk},
	{"call.spool", config.Size, "spool", bulk},
	{"call.limit-rate", config.Text, "limit-rate", bulk},
	{"call.deadline", config.Text, "deadline", pings},
	{"call.events", config.Text, "events", calls},
	{"call.quiet", config.Bool, "quiet", calls},
	{"call.verbose", config.Count, "verbose", pings},
	{"call.trust", config.Text, "trust", pings},
	{"call.escape", config.Text, "escape", views},

	{"jobs.*.name", config.Text, "name", []string{"cat"}},
	{"jobs.*.retry-for", config.Text, "retry-for", bulk},
	{"jobs.*.notify-on", config.Text, "notify-on", bulk},
	{"jobs.*.expect", config.Text, "", nil},
	{"jobs.*.metrics", config.Text, MetricsName, bulk},

	{"hub-server.listen", config.Text, "listen", hubs},
	{"hub-server.url", config.List, "url", hubs},
	{"hub-server.tls-cert", config.Text, "tls-cert", hubs},
	{"hub-server.tls-key", config.Text, "tls-key", hubs},
	{"hub-server.behind-proxy", config.List, "behind-proxy", hubs},
	{"hub-server.visible", config.Text, "visible", hubs},
	{"hub-server.guests", config.Bool, "guests", hubs},
	{"hub-server.max", config.Number, "max", hubs},
	{"hub-server.drain", config.Text, "drain", hubs},
	{"hub-server.metrics", config.Text, "metrics", hubs},
	{"hub-server.relay", config.List, "relay", hubs},
	{"hub-server.relay-listen", config.Text, "relay-listen", hubs},
	{"hub-server.relay-rate", config.Size, "relay-rate", hubs},
	{"hub-server.relay-total", config.Size, "relay-total", hubs},
	{"hub-server.relay-bytes", config.Size, "relay-bytes", hubs},
	{"hub-server.relay-sessions", config.Number, "relay-sessions", hubs},
	{"hub-server.stun", config.Text, "stun", hubs},
	{"hub-server.verbose", config.Count, "verbose", hubs},

	{"reach.relay", config.Bool, "", nil},
	{"reach.hide", config.Bool, "", nil},
	{"reach.portmap", config.Bool, "", nil},
	{"reach.lan", config.Bool, "", nil},
	{"reach.stun", config.List, "", nil},
	{"reach.proxy", config.Text, "", nil},

	{"notify.on", config.Text, "", nil},
	{"notify.repeat", config.Text, "", nil},
	{"notify.names", config.Bool, "", nil},
	{"notify.gotify.url", config.Text, "", nil},
	{"notify.gotify.token-file", config.Text, "", nil},
	{"notify.gotify.ca-file", config.Text, "", nil},
	{"notify.gotify.plain", config.Bool, "", nil},
	{"notify.ntfy.url", config.Text, "", nil},
	{"notify.ntfy.token-file", config.Text, "", nil},
	{"notify.ntfy.ca-file", config.Text, "", nil},
	{"notify.ntfy.plain", config.Bool, "", nil},
	{"notify.ping.url-file", config.Text, "", nil},
	{"notify.ping.style", config.Text, "", nil},
	{"notify.ping.ca-file", config.Text, "", nil},
	{"notify.ping.plain", config.Bool, "", nil},
	{"notify.webhook.url", config.Text, "", nil},
	{"notify.webhook.secret-file", config.Text, "", nil},
	{"notify.webhook.ca-file", config.Text, "", nil},
	{"notify.webhook.plain", config.Bool, "", nil},
	{"notify.command", config.Text, "", nil},

	{"rooms.*.owner", config.Text, "", nil},
	{"rooms.*.allow", config.Text, "", nil},

	{"peers.*.allow", config.Text, "", nil},
	{"peers.*.dir", config.Text, "", nil},
	{"peers.*.keep", config.Number, "", nil},
	{"peers.*.max-size", config.Size, "", nil},
	{"peers.*.max-files", config.Number, "", nil},
	{"peers.*.expect", config.Text, "", nil},
	{"peers.*.expect-name", config.Text, "", nil},
}

// keys returns the keys that config.toml may have.
func keys() map[string]config.Kind {
	all := make(map[string]config.Kind)
	for _, s := range Settings {
		all[s.Key] = s.Kind
		if name, ok := strings.CutPrefix(s.Key, "call."); ok {
			all["peers.*."+name], all["jobs.*."+name] = s.Kind, s.Kind
		}
	}
	return all
}
