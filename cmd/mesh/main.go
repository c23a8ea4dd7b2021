// Command mesh is a set of tools that stretch the shell's pipe over a network.
// It is called by the name of a tool, mesh-cat, or with it: mesh cat.
package main

import (
	"os"

	"github.com/urfave/cli/v2"

	"mesh/pipe/term/console"
	"mesh/tools/cat"
	"mesh/tools/cmdline"
	"mesh/tools/listen"
	"mesh/tools/recv"
	"mesh/tools/sum"
	"mesh/tools/token"
	"mesh/tools/tty"
)

// tools is all there is: one package, one manual page, one script for each.
var tools = []func() *cli.Command{
	cat.Command,
	recv.Command,
	listen.Command,
	tty.Command,
	token.Command,
	sum.Command,
}

func main() {
	if console.IsGuard(os.Args) {
		console.Guard(os.Stdin, os.Stdout, os.Stderr)
		return
	}
	os.Exit(cmdline.Main(tools, os.Args, os.Stdin, os.Stdout, os.Stderr))
}
