package cmdline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/identity"
)

// TestJSONLog wants each record to be one object on one line, without secrets and
// without what would control a terminal.
func TestJSONLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(newJSON(&out, slog.LevelInfo))
	secret := proto.TokenPrefix + strings.Repeat("a7", 60)
	hostile := "a\n{\"level\":\"ERROR\"}\x1b[2J\u202e\u2028\x7f\xff"
	log.Info(
		hostile+secret, "text", hostile, "token", secret, "err", fmt.Errorf("read %s", secret), "number", int64(1<<60), "long", strings.Repeat("é", 100_000),
		"id", identity.ID{}, "addr", netip.MustParseAddrPort("[::1]:7"), "for", time.Second, "paths", json.RawMessage(`[{"path":"relay"}]`), "strings", []string{hostile, secret},
	)
	recordError(log, proto.Hint(errors.New(secret), secret), []any{"peer_name", hostile})
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %d lines, want 2: %.500s", len(lines), out.String())
	}
	var got []map[string]any
	for _, line := range lines {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%v in %.500s", err, line)
		}
		got = append(got, o)
	}
	for key, want := range map[string]any{
		"level": "INFO", "token": "mesh1…", "err": "read mesh1…", "number": float64(1 << 60), "id": identity.ID{}.String(), "addr": "[::1]:7",
		"paths": []any{map[string]any{"path": "relay"}}, "text": `a\n{"level":"ERROR"}\x1b[2J\u202e\u2028\x7f�`,
	} {
		if fmt.Sprint(got[0][key]) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", key, got[0][key], want)
		}
	}
	if got[1]["level"] != "ERROR" || got[1]["code"] != float64(proto.Failed) || got[1]["hint"] != "mesh1…" || got[1]["msg"] != "mesh1…" {
		t.Errorf("got %v, want an error with code %d and a hint", got[1], proto.Failed)
	}
	if strings.Contains(out.String(), "a7a7a7") || strings.ContainsAny(out.String(), "\x1b\u202e\u2028\x7f") {
		t.Errorf("got a secret or a control character: %.500q", out.String())
	}
}
