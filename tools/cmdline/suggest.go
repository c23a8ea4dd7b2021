package cmdline

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/proto"
)

// verbs are commands of other programs, and what does the same here.
var verbs = func() map[string]string {
	all := make(map[string]string)
	for _, v := range []struct{ words, instead string }{
		{"send cp scp put push copy sync rsync upload", "mesh-cat PEER FILE…"},
		{"pipe nc netcat socat connect dial call", "mesh-cat PEER"},
		{"receive get pull download fetch accept", "mesh-recv -C DIR"},
		{"ls list files", "mesh-recv --dry-run PEER lists what it offers"},
		{"serve offer", "mesh-listen --serve FILE…"},
		{"inbox daemon", "mesh-listen --inbox DIR"},
		{"share host tmate upterm ttyd", "mesh-tty --share"},
		{"ssh view watch attach shell terminal", "mesh-tty PEER"},
		{"add trust know", "mesh-pair, or mesh-token peer add NAME TOKEN|NODEID and on the other side mesh-token allow NODEID"},
		{"doctor netcheck", "mesh-ping says what the network of this machine lets through"},
		{"trace", "mesh-ping PEER shows the path to a peer"},
		{"up login join hub", "mesh-hub join INVITE|URL"},
		{"down logout leave", "mesh-hub leave"},
		{"peers who", "mesh-token peer list"},
		{"id whoami key keygen identity", "mesh-token id"},
		{"allow revoke allowed new peer", "mesh-token allow|revoke|allowed|new|peer"},
		{"hash b3sum blake3 checksum", "mesh-sum"},
		{"config settings", "man mesh-config"},
		{"exit codes errors", "mesh help exit"},
		{"version -V", "mesh --version"},
	} {
		for word := range strings.FieldsSeq(v.words) {
			all[word] = v.instead
		}
	}
	return all
}()

// flagsElsewhere are flags that people look for in a tool, and what does it instead.
var flagsElsewhere = map[string]string{
	"listen tty":        "mesh-tty --share --headless [-- CMD…] shares a terminal",
	"listen share":      "mesh-tty --share shares a terminal",
	"listen control":    "mesh-tty --share --control shares a terminal",
	"listen directory":  "mesh-listen --inbox DIR stores what peers send",
	"listen C":          "mesh-listen --inbox DIR stores what peers send",
	"listen o":          "mesh-listen >FILE takes one pipe, mesh-recv -o FILE one file",
	"listen p":          "--listen :PORT",
	"recv p":            "--listen :PORT",
	"cat o":             "mesh-recv -o FILE takes a file from a peer",
	"cat C":             "mesh-recv -C DIR takes files from a peer",
	"cat r":             "folders are sent whole: mesh-cat PEER DIR",
	"cat recursive":     "folders are sent whole: mesh-cat PEER DIR",
	"cat force":         "mesh-recv --force on the other side replaces what is there",
	"cat f":             "mesh-recv --force on the other side replaces what is there",
	"cat rename":        "mesh-recv --rename on the other side stores beside what is there",
	"cat name":          "mesh-recv -C DIR --name NAME on the other side names a pipe",
	"cat any-names":     "mesh-recv --any-names on the other side accepts all names",
	"cat output":        "mesh-recv -o FILE takes a file from a peer",
	"cat inbox":         "mesh-listen --inbox DIR stores what peers send",
	"cat share":         "mesh-tty --share shares a terminal",
	"cat timeout":       "--wait DUR for the peer, --deadline DUR for all",
	"recv timeout":      "--wait DUR for the peer, --deadline DUR for all",
	"listen timeout":    "--wait DUR for the peer, --deadline DUR for all",
	"recv serve":        "mesh-listen --serve FILE… offers files",
	"recv inbox":        "mesh-listen --inbox DIR stores what peers send, again and again",
	"recv on-receive":   "mesh-listen --inbox DIR --on-receive CMD",
	"recv symlinks":     "mesh-cat --symlinks and mesh-listen --symlinks: the side that sends decides",
	"recv skip-special": "mesh-cat --skip-special and mesh-listen --skip-special: the side that sends decides",
	"recv list":         "mesh-recv --dry-run PEER lists what it offers",
	"recv l":            "mesh-recv --dry-run PEER lists what it offers",
	"recv f":            "--force replaces what is there",
	"recv port":         "--listen :PORT",
	"listen port":       "--listen :PORT",
	"cat listen":        "mesh-listen and mesh-recv wait for a peer",
	"cat token-file":    "the token in a file is @FILE, in the place of PEER",
	"recv x":            "mesh-recv | tar xf -",
	"token token-file":  "mesh-token new >FILE",
}

// synonyms are words for the same, of which a command has one.
var synonyms = []string{
	"remove rm delete del forget free end revoke leave",
	"list ls show print status",
	"add new create make join",
}

// meantCommand returns the subcommand that a word is most likely meant to be, or "". The
// first letter of a short word is seldom mistyped.
func meantCommand(word string, names []string) string {
	if near := nearest(word, names); near != "" && near[0] == word[0] {
		return near
	}
	for _, line := range synonyms {
		same := strings.Fields(line)
		if !slices.Contains(same, word) {
			continue
		}
		meant := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(same, name) })
		if len(meant) == 1 {
			return meant[0]
		}
	}
	return ""
}

// unknownTool is the error for a first word that is no tool.
func (r *run) unknownTool(name string) error {
	err := proto.Errorf(proto.Usage, "unknown tool %s", quoted(name))
	if instead := verbs[name]; instead != "" {
		return proto.Hint(err, instead)
	}
	var names []string
	for _, c := range r.toolbox(toolbox).Commands {
		names = append(names, c.Name)
	}
	if near := nearest(strings.TrimPrefix(name, toolbox+"-"), names); near != "" {
		return proto.Hint(err, fmt.Sprintf("did you mean %s %s?", toolbox, near))
	}
	if near := nearest(name, slices.Collect(maps.Keys(verbs))); near != "" {
		return proto.Hint(err, verbs[near])
	}
	return proto.Hint(err, `"mesh help" lists the tools`)
}

// unknownFlag is the error for a flag that c does not have.
func unknownFlag(c *cli.Context, name string) error {
	err := proto.Errorf(proto.Usage, "unknown flag %s", dashed(name))
	if name == "V" {
		return proto.Hint(err, "the version is printed by --version")
	}
	if instead := flagsElsewhere[toolName(c)+" "+name]; instead != "" {
		return proto.Hint(err, instead)
	}
	var names []string
	for _, f := range c.Command.Flags {
		names = append(names, f.Names()...)
	}
	if near := nearest(name, names); near != "" {
		return proto.Hint(err, "did you mean "+dashed(near)+"?")
	}
	return proto.Hint(err, fmt.Sprintf("%q lists the flags", c.Command.HelpName+" --help"))
}

// nearest returns the name that a mistyped word is most likely meant to be, or "".
// Words of one or two letters are near to too many.
func nearest(word string, names []string) string {
	best, near := 1+len(word)/4, ""
	if len(word) < 3 || len(word) > 40 {
		return ""
	}
	for _, name := range slices.Sorted(slices.Values(names)) {
		if d := editDistance(word, name); len(name) > 1 && d <= best && (near == "" || d < best) {
			best, near = d, name
		}
	}
	return near
}

// editDistance returns how many letters must be inserted, removed, replaced or swapped
// with the next one to make a into b.
func editDistance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
