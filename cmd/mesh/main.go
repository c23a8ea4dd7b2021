// Command mesh is a set of tools that stretch the shell's pipe over a network. The
// name it is called by selects the tool: mesh-cat, which is the same as mesh cat.
package main

import (
	"os"

	"github.com/urfave/cli/v2"

	"mesh/pipe/child"
	"mesh/pipe/term/console"
	"mesh/tools/cat"
	"mesh/tools/cmdline"
	"mesh/tools/hub"
	"mesh/tools/listen"
	"mesh/tools/notice"
	"mesh/tools/pair"
	"mesh/tools/ping"
	"mesh/tools/recv"
	"mesh/tools/status"
	"mesh/tools/sum"
	"mesh/tools/token"
	"mesh/tools/tty"
)

// tools lists all tools. Each has a package and a manual page of its own.
var tools = []func() *cli.Command{
	cat.Command,
	recv.Command,
	listen.Command,
	tty.Command,
	ping.Command,
	pair.Command,
	token.Command,
	sum.Command,
	hub.Command,
}

// commands lists the commands: they concern this installation, and each exists only as an
// argument of mesh. The manual page of mesh describes them.
var commands = []func() *cli.Command{
	notice.Command,
	status.Command,
}

func main() {
	child.ForbidCoreDumps()
	if console.IsRestorer(os.Args) { // a process that restores the terminal of a killed viewer
		console.RunRestorer(os.Stdin, os.Stdout, os.Stderr)
		return
	}
	os.Exit(cmdline.Main(tools, commands, cmdline.TakeArgs(os.Args), os.Stdin, os.Stdout, os.Stderr))
}
