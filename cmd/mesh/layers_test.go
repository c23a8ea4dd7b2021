package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// below lists what each package and those inside it must not import. The layers are
// cmd -> tools -> pipe -> proto, and in proto link -> path -> transport.
var below = map[string][]string{
	"mesh/cmd/mesh/internal/attacker": {"mesh"}, // the page must be enough for it

	"mesh/proto": {"mesh/pipe", "mesh/tools", "mesh/cmd"},
	"mesh/pipe":  {"mesh/tools", "mesh/cmd"},
	"mesh/tools": {"mesh/cmd"},

	"mesh/proto/candidate": {"mesh", "os", "syscall"},
	"mesh/proto/cpace":     {"mesh", "net", "os", "syscall"},
	"mesh/proto/transport": {"mesh/proto/candidate", "mesh/proto/handshake", "mesh/proto/link", "mesh/proto/path", "mesh/proto/token", "mesh/proto/wire"},
	"mesh/proto/relay":     {"mesh/proto/candidate", "mesh/proto/handshake", "mesh/proto/hub", "mesh/proto/link", "mesh/proto/path", "mesh/proto/token", "mesh/proto/transport", "mesh/proto/wire"},
	"mesh/proto/nat":       {"mesh/proto/handshake", "mesh/proto/hub", "mesh/proto/link", "mesh/proto/path", "mesh/proto/relay", "mesh/proto/token", "mesh/proto/transport", "mesh/proto/wire"},
	"mesh/proto/roam":      {"mesh/proto/handshake", "mesh/proto/hub", "mesh/proto/link", "mesh/proto/path", "mesh/proto/relay", "mesh/proto/token", "mesh/proto/transport", "mesh/proto/wire"},
	"mesh/proto/path":      {"mesh/proto/handshake", "mesh/proto/link", "mesh/proto/tcp", "mesh/proto/token", "mesh/proto/udp", "mesh/proto/wire"},
	"mesh/proto/link":      {"mesh/proto/tcp", "mesh/proto/udp"},

	"mesh/proto/hub":           {"mesh/proto/handshake", "mesh/proto/link", "mesh/proto/path", "mesh/proto/transport"},
	"mesh/proto/hub/broker":    {"mesh/proto/hub/agent", "mesh/proto/hub/boltstore", "mesh/proto/hub/serve", "github.com/coder/websocket", "os"},
	"mesh/proto/hub/boltstore": {"mesh/proto/hub/agent", "mesh/proto/hub/serve", "github.com/coder/websocket"},
	"mesh/proto/hub/agent":     {"mesh/proto/hub/broker", "mesh/proto/hub/boltstore", "mesh/proto/hub/serve"},

	"mesh/pipe/files/disk":    {"mesh/pipe", "mesh/proto/wire"},
	"mesh/pipe/files/archive": {"mesh/pipe"},

	"mesh/tools/node": {"mesh/tools/cmdline", "mesh/tools/nodeflags", "github.com/urfave/cli"},

	"mesh/pipe/term/share": {"mesh/pipe/term/console", "mesh/pipe/term/pty", "mesh/pipe/term/draw", "mesh/pipe/term/view"},
}

// terminal lists the packages of shared terminals by floor. Each imports only those
// of lower floors.
var terminal = [][]string{
	{"mesh/pipe/term", "mesh/pipe/term/vt", "mesh/pipe/term/keys", "mesh/pipe/term/cast", "mesh/pipe/term/pty", "mesh/pipe/term/safe", "mesh/pipe/term/qr"},
	{"mesh/pipe/term/console", "mesh/pipe/term/draw"},
	{"mesh/pipe/term/share", "mesh/pipe/term/view"},
	{"mesh/pipe/term/host"},
}

// toolFloors lists the packages in mesh/tools by floor. Each imports only those of lower
// floors, so one tool never imports another one.
var toolFloors = [][]string{
	{"mesh/tools/outfile", "mesh/tools/paste", "mesh/tools/config", "mesh/tools/command", "mesh/tools/service", "mesh/tools/job", "mesh/tools/metrics"},
	{"mesh/tools/notify", "mesh/tools/board"},
	{"mesh/tools/cmdline", "mesh/tools/node"},
	{"mesh/tools/handoff", "mesh/tools/doctor", "mesh/tools/nodeflags", "mesh/tools/outgoing", "mesh/tools/sharing", "mesh/tools/silence", "mesh/tools/runs"},
	{"mesh/tools/cat", "mesh/tools/recv", "mesh/tools/listen", "mesh/tools/tty", "mesh/tools/pair", "mesh/tools/ping", "mesh/tools/token", "mesh/tools/sum", "mesh/tools/hub", "mesh/tools/status", "mesh/tools/notice"},
}

// tests are the packages that only tests import.
var tests = []string{"mesh/proto/xtest", "mesh/proto/linktest", "mesh/proto/hub/hubtest", "mesh/pipe/term/termtest", "mesh/pipe/term/sharetest", "mesh/tools/cmdline/cmdlinetest", "mesh/cmd/mesh/internal/attacker"}

// knows lists which packages may import what comes from outside.
var knows = map[string][]string{
	"github.com/urfave/cli": append(
		[]string{"mesh/cmd", "mesh/tools/cmdline", "mesh/tools/nodeflags", "mesh/tools/outgoing", "mesh/tools/sharing", "mesh/tools/runs"}, toolFloors[len(toolFloors)-1]...),
	"github.com/quic-go/quic-go":     {"mesh/proto/transport", "mesh/proto/tcp", "mesh/proto/udp", "mesh/proto/linktest", "mesh/cmd/mesh/internal/attacker"},
	"github.com/pion/stun":           {"mesh/proto/nat"},
	"github.com/huin/goupnp":         {"mesh/proto/nat"},
	"github.com/jackpal/":            {"mesh/proto/nat"},
	"github.com/coder/websocket":     {"mesh/proto/hub/agent", "mesh/proto/hub/serve", "mesh/proto/hub/hubtest", "mesh/proto/relay", "mesh/scripts/internal/bench"},
	"github.com/go-json-experiment/": {"mesh/proto/hub"},
	"github.com/sethvargo/":          {"mesh/proto/hub"},
	"filippo.io/edwards25519":        {"mesh/proto/cpace"},
	"go.etcd.io/bbolt":               {"mesh/proto/hub/boltstore"},
	"github.com/VictoriaMetrics/":    {"mesh/proto/hub/serve", "mesh/tools/metrics"},
	"github.com/zeebo/blake3":        {"mesh/pipe", "mesh/cmd/mesh/internal/attacker"},
	"github.com/schollz/progressbar": {"mesh/pipe/progress"},
	"github.com/clipperhouse":        {"mesh/pipe/term/vt"},
	"github.com/creack/pty":          {"mesh/pipe/term"},
	"golang.org/x/term":              {"mesh/pipe/term"},
	"rsc.io/qr":                      {"mesh/pipe/term/qr"},
	"golang.org/x/time":              {"mesh/pipe/ratelimit", "mesh/proto/relay", "mesh/proto/nat", "mesh/proto/hub/agent"},
	"github.com/pelletier/go-toml":   {"mesh/tools/config"},
	"github.com/coreos/go-systemd":   {"mesh/tools/service", "mesh/tools/cmdline"},
}

func TestLayers(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go tool here")
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports", "mesh/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := 0
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen++
		for _, i := range p.Imports {
			if why := breach(p.ImportPath, i); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, i, why)
			}
		}
	}
	if seen < 4 {
		t.Errorf("go list found %d packages", seen)
	}
}

// breach says what is wrong with the package importing the other one.
func breach(pkg, imported string) string {
	for layer, above := range below {
		if within(pkg, layer) && withinAny(imported, above) {
			return layer + " must not import it"
		}
	}
	if withinAny(imported, tests) && !withinAny(pkg, tests) {
		return "only tests may import it"
	}
	for _, floors := range [][][]string{terminal, toolFloors} {
		if at, f := floor(floors, pkg), floor(floors, imported); at >= 0 && f >= at {
			return "it is not on a lower floor"
		}
	}
	for what, who := range knows {
		if strings.HasPrefix(imported, what) && !withinAny(pkg, who) {
			return "only " + strings.Join(who, " and ") + " may know it"
		}
	}
	return ""
}

// floor returns the floor of a package, and -1 for a package that is not listed.
func floor(floors [][]string, pkg string) int {
	return slices.IndexFunc(floors, func(pkgs []string) bool { return slices.Contains(pkgs, pkg) })
}

func within(pkg, folder string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") }

func withinAny(pkg string, folders []string) bool {
	for _, f := range folders {
		if within(pkg, f) {
			return true
		}
	}
	return false
}

// Only package transport and those below it make sockets: link and path have the
// connections that it gives them.
func TestSockets(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"link", "path", "candidate", "handshake", "token", "wire", "hub"} {
		files, err := filepath.Glob("../../proto/" + dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("no files of %s: %v", dir, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && makesSocket(s) {
					t.Errorf("%s uses net.%s, which makes a socket", name, s.Sel.Name)
				}
				return true
			})
		}
	}
}

func makesSocket(s *ast.SelectorExpr) bool {
	pkg, ok := s.X.(*ast.Ident)
	return ok && pkg.Name == "net" && (strings.HasPrefix(s.Sel.Name, "Dial") || strings.HasPrefix(s.Sel.Name, "Listen"))
}

func TestBreach(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pkg, imported string
		bad           bool
	}{
		{"mesh/proto/link", "mesh/pipe", true},
		{"mesh/proto", "mesh/tools/cmdline", true},
		{"mesh/pipe/files", "mesh/tools/cat", true},
		{"mesh/pipe/files/disk", "mesh/pipe/files", true},
		{"mesh/pipe/files/disk", "mesh/proto/wire", true},
		{"mesh/pipe/files", "mesh/pipe/files/disk", false},
		{"mesh/pipe", "github.com/urfave/cli/v2", true},
		{"mesh/pipe", "github.com/quic-go/quic-go", true},
		{"mesh/pipe", "mesh/proto/link", false},
		{"mesh/tools/cat", "mesh/pipe", false},
		{"mesh/proto/link", "github.com/quic-go/quic-go", true},
		{"mesh/proto/path", "github.com/quic-go/quic-go", true},
		{"mesh/proto/transport", "github.com/quic-go/quic-go", false},
		{"mesh/proto/linktest", "github.com/quic-go/quic-go/testutils/simnet", false},
		{"mesh/proto/transport", "mesh/proto/wire", true},
		{"mesh/proto/path", "mesh/proto/link", true},
		{"mesh/proto/link", "mesh/proto/tcp", true},
		{"mesh/proto/relay", "mesh/proto/hub", true},
		{"mesh/proto/relay", "mesh/proto/transport", true},
		{"mesh/proto/relay", "mesh/proto/tcp", false},
		{"mesh/proto/hub/serve", "mesh/proto/relay", false},
		{"mesh/proto/candidate", "mesh/proto", true},
		{"mesh/proto/candidate", "net/netip", false},
		{"mesh/protocol", "mesh/pipe", false},
		{"mesh/tools/node", "github.com/urfave/cli/v2", true},
		{"mesh/tools/node", "mesh/tools/cmdline", true},
		{"mesh/tools/node", "mesh/tools/outfile", false},
		{"mesh/tools/cmdline", "mesh/tools/node", true},
		{"mesh/tools/command", "mesh/tools/cmdline", true},
		{"mesh/tools/handoff", "github.com/urfave/cli/v2", true},
		{"mesh/tools/sharing", "mesh/tools/cmdline", false},
		{"mesh/tools/tty", "mesh/tools/token", true},
		{"mesh/proto/link", "mesh/proto/xtest", true},
		{"mesh/pipe/term/share", "mesh/pipe/term/console", true},
		{"mesh/pipe/term/draw", "mesh/pipe/term/view", true},
		{"mesh/pipe/term/view", "mesh/pipe/term/share", true},
		{"mesh/pipe/term/host", "mesh/pipe/term/draw", false},
	} {
		if got := breach(tt.pkg, tt.imported); (got != "") != tt.bad {
			t.Errorf("%s imports %s: got %q", tt.pkg, tt.imported, got)
		}
	}
}
