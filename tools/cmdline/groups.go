package cmdline

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// group is a part of the flags that --help prints under one title.
type group struct {
	title string
	// flags are first names. TOOL:NAME is the flag of one tool, where the same name is
	// in another group elsewhere.
	flags string
}

// groups has each flag of the tools that link, in exactly one group. A test holds that.
var groups = []group{
	{"files to send", "symlinks skip-special dry-run exclude exclude-from serve cat:archive listen:archive sparse xattrs"},
	{"files to store", "output directory force rename portable any-names max-size max-files recv:archive recv:name recv:dry-run listen:name next gc"},
	{"a run", "job retry-for notify-on metrics cat:name"},
	{"inbox", "inbox by-peer on-receive on-receive-timeout"},
	{"share a terminal", "share headless size control record audit history tty:name"},
	{"view a terminal", "raw plain cast json tty:once input read-only backlog strict exit-status escape linger clipboard tty:as"},
	{"the other side", "pair:name allow"},
	{"wait for a peer", "as room listen addr token-file ttl show-token qr copy token-only max listen:once listen:wait"},
	{"call a peer", "wait"},
	{"several peers", "need lag"},
	{"the link", "hub trust via resume-for deadline"},
	{"bytes", "limit-rate window spool flows"},
	{"messages", "listen:metrics events quiet verbose help version"},
}

// groupOf returns the index in groups of a tool's flag, -1 if it is in none.
func groupOf(tool, flag string) int {
	for _, name := range []string{tool + ":" + flag, flag} {
		if i := slices.IndexFunc(groups, func(g group) bool { return slices.Contains(strings.Fields(g.flags), name) }); i >= 0 {
			return i
		}
	}
	return -1
}

// brief are the flags that -h prints, by the tool. A tool that is not here prints all.
var brief = map[string]string{
	"cat":    "symlinks dry-run wait deadline resume-for via quiet events",
	"recv":   "output directory archive dry-run force listen token-file wait next",
	"listen": "serve dry-run inbox on-receive max listen token-file ttl via quiet events",
	"pair":   "name allow wait listen token-file show-token hub quiet events",
	"tty":    "share control headless record name plain once input read-only wait",
}

// briefOfCommand are those of other commands with many flags, whose --help has no groups.
var briefOfCommand = map[string]string{
	"ping":  "count json redact hub via wait help version",
	"serve": "listen url tls-cert tls-key behind-proxy guests relay drain metrics verbose",
}

// briefCommands are the subcommands that -h prints, by the tool.
var briefCommands = map[string]string{
	"hub":   "join status leave invite member name serve",
	"token": "id new show revoke peer allow allowed",
}

// groupFlags returns the flags of a tool group by group. Flags of other commands are
// one group.
func groupFlags(tool string, flags []cli.Flag) []flagGroup {
	if _, grouped := brief[tool]; !grouped {
		return []flagGroup{{"flags", flags}}
	}
	list := make([]flagGroup, len(groups)+1) // the last for flags without a group
	for _, f := range flags {
		i := groupOf(tool, f.Names()[0])
		if i < 0 {
			i = len(groups)
		}
		list[i].flags = append(list[i].flags, f)
	}
	for i, g := range groups {
		list[i].title = g.title
	}
	list[len(groups)].title = "other flags"
	return slices.DeleteFunc(list, func(g flagGroup) bool { return len(g.flags) == 0 })
}

type flagGroup struct {
	title string
	flags []cli.Flag
}

// briefFlags returns the flags of -h, in the order of the list: all of a tool that is not
// in the list.
func briefFlags(tool string, flags []cli.Flag) (some []cli.Flag) {
	list, listed := brief[tool]
	if !listed {
		list, listed = briefOfCommand[tool]
	}
	if !listed {
		return flags
	}
	for name := range strings.FieldsSeq(list) {
		if f := findFlag(flags, name); f != nil {
			some = append(some, f)
		}
	}
	return some
}
