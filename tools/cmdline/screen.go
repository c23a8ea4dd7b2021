package cmdline

import (
	"fmt"

	"mesh/proto/identity"
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

// printScreen prints the first screen. It makes no key and opens no connection.
func (r *run) printScreen() error {
	return r.print(fmt.Sprintf("%s %s: pipes, files and terminals from machine to machine\nthis one: %s\n%s",
		toolbox, version(), thisNode(), firstScreen))
}

// thisNode describes the node of this user.
func thisNode() string {
	home, err := Home()
	if err != nil {
		return "no folder for its key: " + oneLine(err.Error())
	}
	who := "no key yet, the first use makes it"
	switch id, found, err := identity.KnownID(home); {
	case err != nil:
		who = "its key cannot be used: " + oneLine(err.Error())
	case found:
		who = id.Short()
	}
	peers, err := identity.Book{Dir: home}.Known()
	switch {
	case err != nil:
		return who + ", and an address book that cannot be read: " + oneLine(err.Error())
	case len(peers) == 1:
		return who + ", 1 peer"
	}
	return fmt.Sprintf("%s, %d peers", who, len(peers))
}
