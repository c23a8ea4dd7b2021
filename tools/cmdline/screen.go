package cmdline

import (
	"fmt"
	"slices"
	"strings"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/agent"
	"mesh/proto/identity"
	"mesh/tools/config"
)

// firstScreen is what mesh without arguments prints below its name: one line for each
// thing that two machines can do.
const firstScreen = `
  one side                   the other side
  mesh-listen photos         mesh-recv TOKEN                 files and folders
  mesh-recv -C Downloads     mesh-cat TOKEN photos           … receiver begins
  mesh-recv | tar xf -       tar cf - dir | mesh-cat TOKEN   a pipe
  mesh-tty --share           MESH_PEER=TOKEN mesh-tty        a terminal
  mesh-listen --inbox in     mesh-cat bob report.pdf         by name, often

The left side shows TOKEN. "mesh-token peer add bob TOKEN" gives it a name:
then mesh-cat bob photos will do. All tools: mesh help, man mesh
`

// hubScreen is firstScreen for a node with a hub.
const hubScreen = `
  one side                   the other side
  mesh-listen photos         mesh-recv CODE                  files and folders
  mesh-recv -C Downloads     mesh-cat CODE photos            … receiver begins
  mesh-recv | tar xf -       tar cf - dir | mesh-cat CODE    a pipe
  mesh-tty --share           mesh-tty CODE                   a terminal
  mesh-pair                  mesh-pair CODE                  then by name:
  mesh-listen --inbox in     mesh-cat bob report.pdf

The left side shows CODE. bob is a name at the hub: man mesh-hub.
All tools: mesh help, man mesh
`

// printScreen prints the first screen. It makes no key and opens no connection.
func (r *run) printScreen() error {
	node, atHub := thisNode()
	screen := firstScreen
	if atHub {
		screen = hubScreen
	}
	return r.print(fmt.Sprintf("%s %s: pipes, files and terminals from machine to machine\nthis one: %s\n%s",
		toolbox, version(), node, screen))
}

// thisNode describes the node of this user, and reports whether it has a hub.
func thisNode() (text string, atHub bool) {
	home, err := Home()
	if err != nil {
		return "no folder for its key: " + proto.OneLine(err.Error()), false
	}
	who := "no key yet, the first use makes it"
	switch id, found, err := identity.KnownID(home); {
	case err != nil:
		who = "its key cannot be used: " + proto.OneLine(err.Error())
	case found:
		who = id.Short()
	}
	peers, err := identity.Book{Dir: home}.Known()
	if err != nil {
		return who + ", and an address book that cannot be read: " + proto.OneLine(err.Error()), false
	}
	names, err := hubNames(home)
	switch {
	case err != nil:
		return who + ", and hubs that cannot be read: " + proto.OneLine(err.Error()), false
	case len(names) == 0:
		return fmt.Sprintf("%s, %s (no hub: mesh-hub join)", who, peerCount(len(peers))), false
	}
	return fmt.Sprintf("%s at hub %s, %s", who, strings.Join(names, ", "), peerCount(len(peers))), true
}

func peerCount(n int) string {
	if n == 1 {
		return "1 peer"
	}
	return fmt.Sprintf("%d peers", n)
}

// hubNames returns the hosts of the hubs that the tools use without --hub: those of the
// settings, else those that mesh-hub join has kept.
func hubNames(home string) (names []string, err error) {
	hubs, given, err := settledHubs()
	if err == nil && !given {
		hubs, err = agent.Known{Dir: home}.List()
	}
	for _, u := range hubs {
		names = append(names, u.Name())
	}
	return names, err
}

// settledHubs returns the hubs of the environment, else of config.toml.
func settledHubs() (hubs []hub.URL, given bool, err error) {
	row := Settings[slices.IndexFunc(Settings, func(s Setting) bool { return s.Key == "hub" })]
	v, ok := fromEnv(row)
	if path := configPath(); !ok && path != "" {
		file, err := config.Load(path, keys())
		if err != nil {
			return nil, false, err
		}
		v, _ = file.Lookup(row.Key)
	}
	return ParseHubs(strings.Join(v.Words, " "))
}
