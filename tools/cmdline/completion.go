package cmdline

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
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
				words: words(c.Subcommands), flags: c.Flags, tool: c.Category == "tools",
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

// shellCases returns the two tables that bash and zsh share: the commands that have
// a place in the tree, and what can follow each of them.
func shellCases(list []entry) (deeper, offers string) {
	var steps []string
	var b strings.Builder
	for _, n := range list {
		path := strings.Join(n.path, " ")
		if len(n.path) > 1 {
			steps = append(steps, "'"+path+"'")
		}
		fmt.Fprintf(&b, "    '%s') offers='%s' ;;\n", path, n.literals())
	}
	return strings.Join(steps, " | "), b.String()
}

func bashScript(list []entry) string {
	deeper, offers := shellCases(list)
	return `# Completions of mesh for bash, printed by "mesh completion bash".
_mesh() {
  local cur=${COMP_WORDS[COMP_CWORD]} path=${COMP_WORDS[0]##*/} offers='' i
  path=${path/#mesh-/mesh }
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ ${COMP_WORDS[i]} == -- ]] && return
    case "$path ${COMP_WORDS[i]}" in
    ` + deeper + `) path="$path ${COMP_WORDS[i]}" ;;
    esac
  done
  case "$path" in
` + offers + `  esac
  # Flags are offered for a dash only, so that Tab alone completes files.
  while IFS='' read -r i; do
    [[ $i == -* && $cur != -* ]] || COMPREPLY+=("$i")
  done < <(compgen -W "$offers" -- "$cur")
}
complete -o default -F _mesh ` + binaryNames(list) + "\n"
}

func zshScript(list []entry) string {
	deeper, offers := shellCases(list)
	return "#compdef " + binaryNames(list) + `
# Completions of mesh for zsh, printed by "mesh completion zsh".
_mesh() {
  local cur=${words[CURRENT]} name=${words[1]:t} offers='' i
  name=${name/#mesh-/mesh }
  for ((i = 2; i < CURRENT; i++)); do
    [[ ${words[i]} == -- ]] && { _files; return }
    case "$name ${words[i]}" in
    ` + deeper + `) name="$name ${words[i]}" ;;
    esac
  done
  case "$name" in
` + offers + `  esac
  compadd -- ${=offers}
  [[ $cur == -* ]] || _files
}
if [[ ${funcstack[1]} == _mesh ]]; then _mesh "$@"; else compdef _mesh ` + binaryNames(list) + "; fi\n"
}

func fishScript(list []entry) string {
	var b strings.Builder
	b.WriteString("# Completions of mesh for fish, printed by \"mesh completion fish\".\n")
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
			if d.TakesValue() {
				b.WriteString(" -r")
			}
			b.WriteString(" -d " + fishQuote(strings.ReplaceAll(d.GetUsage(), "`", "")))
		}
		b.WriteString("\n")
	}
}

func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
