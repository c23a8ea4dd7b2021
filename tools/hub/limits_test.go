package hub

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
	"time"
)

// Each constant that bounds something is printed.
func TestLimits(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("limits.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []struct {
		file, name string
		least      int
	}{
		{"../../proto/hub/limits.go", "hub", 10},
		{"../../proto/hub/broker/limits.go", "broker", 10},
		{"../../proto/relay/permit.go", "relay", 2},
		{"../../proto/relay/door.go", "relay", 1},
		{"../../proto/nat/server.go", "nat", 4},
	} {
		file, name := in.file, in.name
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			for i := 0; ok && i < len(v.Names); i++ {
				if constant := v.Names[i].Name; strings.HasPrefix(constant, "Max") {
					count++
					if !strings.Contains(string(table), name+"."+constant+"}") {
						t.Errorf("mesh-hub limits does not print %s.%s", name, constant)
					}
				}
			}
			return true
		})
		if count < in.least {
			t.Errorf("%s: found %d constants", file, count)
		}
	}
}

func TestDurationText(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		100 * time.Millisecond: "100ms", 5 * time.Second: "5s", time.Minute: "1m", 90 * time.Minute: "1h30m",
		2 * time.Hour: "2h", 24 * time.Hour: "1d", 365 * 24 * time.Hour: "365d", 25 * time.Hour: "25h",
	} {
		if got := durationText(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}
