package cmdline

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"mesh/proto/hub"
)

// completionCommand is "mesh completion SHELL". The scripts contain the names of all
// commands and flags as literals, so Tab never runs mesh.
func (r *run) completionCommand() *cli.Command {
	shell := func(name string, script func([]entry) string) *cli.Command {
		return &cli.Command{
			Name:  name,
			Usage: "print the completions for " + name,
			Action: func(c *cli.Context) error {
				if _, err := Args(c, 0, 0); err != nil {
					return err
				}
				app := r.toolbox(toolbox)
				r.overrideDefaults(app)
				return r.print(script(entries(app)))
			},
		}
	}
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the completions for a shell",
		ArgsUsage: "bash|zsh|fish",
		Subcommands: []*cli.Command{
			shell("bash", bashScript), shell("zsh", zshScript), shell("fish", fishScript),
		},
	}
}

// entry is a command as completion sees it.
type entry struct {
	path  []string // for example mesh, token, new
	words []word   // the subcommands
	flags []cli.Flag
	tool  bool // also called mesh-TOOL
}

type word struct{ name, usage string }

// entries lists the tree of commands, parents first.
func entries(app *cli.App) []entry {
	root := entry{path: []string{toolbox}, flags: app.Flags, words: words(app.Commands)}
	list := []entry{root}
	var walk func(parent []string, cs []*cli.Command)
	walk = func(parent []string, cs []*cli.Command) {
		for _, c := range cs {
			e := entry{
				path:  append(append([]string{}, parent...), c.Name),
				words: words(c.Subcommands), flags: c.Flags, tool: c.Category == toolsCategory,
			}
			if c.Name == "help" {
				e.words = append(words(app.Commands), word{"exit", "the exit codes"})
			}
			list = append(list, e)
			walk(e.path, c.Subcommands)
		}
	}
	walk(root.path, app.Commands)
	return list
}

// words lists the commands that are not hidden.
func words(cs []*cli.Command) []word {
	var list []word
	for _, c := range cs {
		if !c.Hidden {
			list = append(list, word{c.Name, c.Usage})
		}
	}
	return list
}

// binaryNames lists the names that the binary is called by.
func binaryNames(list []entry) string {
	names := []string{toolbox}
	for _, n := range list {
		if n.tool {
			names = append(names, toolbox+"-"+n.path[1])
		}
	}
	return strings.Join(names, " ")
}

// literals returns the subcommands and flags of e as they are typed.
func (e entry) literals() string {
	var list []string
	for _, w := range e.words {
		list = append(list, w.name)
	}
	for _, f := range e.flags {
		for _, name := range f.Names() {
			list = append(list, dashed(name))
		}
	}
	return strings.Join(list, " ")
}

// shellTables returns the tables that bash and zsh share: the commands that have a place
// in the tree, what can follow each of them, and the values of flags.
func shellTables(list []entry) (deeper, offers, values string) {
	var steps []string
	var o, v strings.Builder
	for _, n := range list {
		path := strings.Join(n.path, " ")
		if len(n.path) > 1 {
			steps = append(steps, "'"+path+"'")
		}
		fmt.Fprintf(&o, "    '%s') offers='%s' valued=' %s ' peers=%d caps=%d ;;\n",
			path, n.literals(), strings.Join(n.valuedFlags(), " "), number(n.takesPeer()), number(n.takesCaps()))
		for _, f := range n.flags {
			if words := n.valuesOf(f); words != "" {
				for _, name := range f.Names() {
					fmt.Fprintf(&v, "    '%s %s') offers='%s' ;;\n", path, dashed(name), words)
				}
			}
		}
	}
	return strings.Join(steps, " | "), o.String(), v.String()
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// shellScan is the part of the scripts for bash and zsh that reads the line: word(i) is
// a word of it, the command's name is at index first, and the last index is last. It
// sets cmd, offers, and what the word to complete is: the value of the flag flag, or
// argument number n.
func shellScan(list []entry, word, first, last string) string {
	deeper, offers, values := shellTables(list)
	return `  local offers='' list='' valued='' peers=0 caps=0 flag='' n=0 at=$((` + first + ` + 1)) i w
  cmd=${cmd/#mesh-/mesh }
  for ((i = at; i < ` + last + `; i++)); do
    w=` + word + `
    [[ $w == -- ]] && return 1
    case "$cmd $w" in
    ` + deeper + `) cmd="$cmd $w" at=$((i + 1)) ;;
    esac
  done
  case "$cmd" in
` + offers + `  esac
  for ((i = at; i < ` + last + `; i++)); do
    w=` + word + `
    if [[ -n $flag ]]; then
      flag=''
    elif [[ $valued == *" $w "* ]]; then
      flag=$w
    elif [[ $w != -* ]]; then
      ((n += 1))
    fi
  done
  if [[ -n $flag ]]; then
    offers=''
    case "$cmd $flag" in
` + values + `    esac
  elif [[ $peers == 1 && $n == 0 ]]; then
    w="` + strings.Replace(word, "[i]", "["+last+"]", 1) + `"
    [[ $cmd == 'mesh cat' && $w == *,* ]] && list=${w%,*},
    offers="$offers $(_mesh_peers "$list") $(_mesh_codes "` + strings.Replace(word, "[i]", "["+last+"]", 1) + `")"
  elif [[ $caps == 1 && $n == 1 ]]; then
    offers="$offers ` + capsValues + ` none"
  fi
`
}

// shellPeers prints the names of the address book, behind the PEERs with a comma at the end
// that the word to complete begins with, without those. The shell reads the file: Tab never
// runs mesh.
const shellPeers = `_mesh_peers() {
  local file=${MESH_HOME:-${XDG_STATE_HOME:-$HOME/.local/state}/mesh}/known_peers name rest
  [[ -r $file ]] && while read -r name rest; do
    [[ $name == [A-Za-z0-9]* && $name != *[!A-Za-z0-9._-]* && ",$1" != *",$name,"* ]] && printf '%s\n' "$1$name"
  done <"$file"
}
`

// shellCodes prints the codes whose last word begins as that of the first argument does.
func shellCodes() string {
	return `_mesh_codes() {
  local w
  [[ $1 =~ ^[1-9][0-9]*-([a-z]+-){0,2}[a-z]+$ ]] || return
  for w in ` + strings.Join(hub.CompleteWord(""), " ") + `; do
    [[ $w == "${1##*-}"* ]] && printf '%s\n' "${1%-*}-$w"
  done
}
`
}

// bashWords sets words to the words up to the cursor, and last to the index of the last.
// Where bash takes a colon for the end of a word, as it does unless COMP_WORDBREAKS says
// something else, the parts are joined again. colon is then how much of the last word
// readline keeps.
const bashWords = `_mesh_words() {
  local line=$COMP_LINE i w
  for ((i = 0; i <= COMP_CWORD; i++)); do
    w=${COMP_WORDS[i]}
    if ((i > 0)) && [[ $line == [^[:space:]]* && ($w == :* || ${words[last]} == *:) ]]; then
      words[last]+=$w
    else
      last=${#words[@]}
      words+=("$w")
    fi
    line=${line#"${line%%[![:space:]]*}"}
    line=${line#"$w"}
  done
  w=${words[last]}
  [[ $COMP_WORDBREAKS == *:* && $w == *:* ]] && w=${w%"${w##*:}"} colon=${#w}
}
`

func bashScript(list []entry) string {
	return `# Completions of mesh for bash, printed by "mesh completion bash".
` + shellPeers + shellCodes() + bashWords + `_mesh() {
  local words=() cur cmd last=0 colon=0
  _mesh_words
  cur=${words[last]} cmd=${words[0]##*/}
  COMPREPLY=()
` + shellScan(list, "${words[i]}", "0", "last") + `  # Flags are offered for a dash only, so that Tab alone completes files.
  while IFS='' read -r i; do
    [[ $i == -* && $cur != -* ]] || COMPREPLY+=("${i:colon}")
  done < <(compgen -W "$offers" -- "$cur")
  # A code goes on behind its first two words.
  if [[ $cur =~ ^[1-9][0-9]*-([a-z]+-)?[a-z]+$ ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o default -F _mesh ` + binaryNames(list) + "\n"
}

func zshScript(list []entry) string {
	return "#compdef " + binaryNames(list) + `
# Completions of mesh for zsh, printed by "mesh completion zsh".
` + shellPeers + shellCodes() + `_mesh_offers() {
  local cmd=${words[1]:t}
` + shellScan(list, "${words[i]}", "1", "CURRENT") + `  compadd -- ${=offers}
}
_mesh() {
  _mesh_offers
  [[ ${words[CURRENT]} == -* ]] || _files
}
if [[ ${funcstack[1]} == _mesh ]]; then _mesh "$@"; else compdef _mesh ` + binaryNames(list) + "; fi\n"
}

func fishScript(list []entry) string {
	var b strings.Builder
	b.WriteString("# Completions of mesh for fish, printed by \"mesh completion fish\".\n" + fishPeers + fishCodes())
	for _, n := range list {
		fishEntry(&b, toolbox, n.path[1:], n)
		if len(n.path) > 1 && isTool(list, n.path[1]) {
			fishEntry(&b, toolbox+"-"+n.path[1], n.path[2:], n)
		}
	}
	return b.String()
}

func isTool(list []entry, name string) bool {
	for _, n := range list {
		if n.tool && n.path[1] == name {
			return true
		}
	}
	return false
}

// fishEntry prints what command offers once all of seen are on the line.
func fishEntry(b *strings.Builder, command string, seen []string, e entry) {
	var tests []string
	for _, s := range seen {
		tests = append(tests, "__fish_seen_subcommand_from "+s)
	}
	if len(e.words) > 0 { // and no subcommand yet
		var next []string
		for _, w := range e.words {
			next = append(next, w.name)
		}
		tests = append(tests, "not __fish_seen_subcommand_from "+strings.Join(next, " "))
	}
	line := "complete -c " + command
	if len(tests) > 0 {
		line += " -n '" + strings.Join(tests, "; and ") + "'"
	}
	for _, w := range e.words {
		fmt.Fprintf(b, "%s -f -a %s -d %s\n", line, w.name, fishQuote(w.usage))
	}
	if e.takesPeer() {
		list := ""
		if strings.Join(e.path, " ") == "mesh cat" {
			list = " list"
		}
		fmt.Fprintf(b, "%s -a '(__mesh_peers%s; __mesh_codes)'\n", line, list)
	}
	if e.takesCaps() {
		fmt.Fprintf(b, "%s -f -a '%s none'\n", line, capsValues)
	}
	for _, f := range e.flags {
		b.WriteString(line)
		for _, name := range f.Names() {
			if len(name) == 1 {
				b.WriteString(" -s " + name)
			} else {
				b.WriteString(" -l " + name)
			}
		}
		if d, ok := f.(cli.DocGenerationFlag); ok {
			if words := e.valuesOf(f); words != "" {
				b.WriteString(" -x -a " + fishQuote(words))
			} else if d.TakesValue() {
				b.WriteString(" -r")
			}
			b.WriteString(" -d " + fishQuote(strings.ReplaceAll(d.GetUsage(), "`", "")))
		}
		b.WriteString("\n")
	}
}

// fishPeers is shellPeers for fish.
const fishPeers = `function __mesh_peers
    set -l dir $HOME/.local/state/mesh
    set -q XDG_STATE_HOME; and test -n "$XDG_STATE_HOME"; and set dir $XDG_STATE_HOME/mesh
    set -q MESH_HOME; and test -n "$MESH_HOME"; and set dir $MESH_HOME
    test -r $dir/known_peers; or return
    set -l before
    test "$argv[1]" = list; and set before (string match -r '^.*,' -- (commandline -ct))
    while read -l -d ' ' name rest
        contains -- "$name" (string split , -- "$before"); and continue
        string match -qr '^[A-Za-z0-9][A-Za-z0-9._-]*$' -- $name; and echo "$before$name"
    end <$dir/known_peers
end
`

// fishCodes is shellCodes for fish.
func fishCodes() string {
	return `function __mesh_codes
    set -l cur (commandline -ct)
    string match -qr '^[1-9][0-9]*-([a-z]+-){0,2}[a-z]+$' -- $cur; or return
    set -l start (string replace -r '[a-z]+$' '' -- $cur)
    printf "$start%s\n" ` + strings.Join(hub.CompleteWord(""), " ") + `
end
`
}

func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
