package cmdline

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/proto/path"
)

// capsValues are the values of CAPS that completion offers.
const capsValues = "send recv send,recv tty:view tty:view,tty:control"

// flagValues are the words that a flag takes, where they can be listed.
var flagValues = map[string]string{
	"via": strings.Join(path.ViaWords, " "), "flows": auto, "archive": "zip tar", "symlinks": "inside skip", "size": "sharer writer", "escape": "none", "allow": capsValues, "trust": strings.Join(trustWords, " "), "hub": NoHub, "visible": "all rooms", "relay": "none",
}

// peerCommands are the commands whose first argument may be a name of the address book.
// Those in capsCommands take CAPS behind it.
var (
	peerCommands = []string{"mesh cat", "mesh recv", "mesh tty", "mesh ping", "mesh token allow", "mesh token revoke", "mesh token peer forget", "mesh hub who"}
	capsCommands = []string{"mesh token allow"}
)

func (e entry) takesPeer() bool { return slices.Contains(peerCommands, strings.Join(e.path, " ")) }

func (e entry) takesCaps() bool { return slices.Contains(capsCommands, strings.Join(e.path, " ")) }

// valuesOf returns the values to offer for a flag, "" for none.
func (e entry) valuesOf(f cli.Flag) string {
	if !takesValue(f) {
		return ""
	}
	return flagValues[f.Names()[0]]
}

func takesValue(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}

// valuedFlags returns the flags that take a value, as they are typed.
func (e entry) valuedFlags() (list []string) {
	for _, f := range e.flags {
		if takesValue(f) {
			for _, name := range f.Names() {
				list = append(list, dashed(name))
			}
		}
	}
	return list
}
