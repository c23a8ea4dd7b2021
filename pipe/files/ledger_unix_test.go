//go:build !windows

package files_test

import (
	"os"
	"path/filepath"
	"testing"

	"mesh/pipe/files"
	"mesh/proto"
)

// Where the ledger can be read but not written, a repeated delivery is sent again and
// passes, with a warning. A wrong guess counts as long as the process lasts.
func TestLedgerThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	from, to, state := filepath.Join(t.TempDir(), "f"), t.TempDir(), t.TempDir()
	write(t, from, []byte("1234"))
	if err := os.Symlink(filepath.Join(state, "missing", "folder"), filepath.Join(state, "stored")); err != nil {
		t.Fatal(err)
	}
	ledger := files.NewLedger(filepath.Join(state, "stored"))
	for i, step := range []struct {
		owner, holds string
		want         proto.Code
		warnings     int
	}{
		{"alice", "1234", proto.OK, 1},
		{"alice", "1234", proto.OK, 1},
		{"mallory", "4321", proto.Unsafe, 0},
		{"mallory", "1234", proto.Unsafe, 0},
		{"alice", "1234", proto.Unsafe, 0},
	} {
		write(t, from, []byte(step.holds))
		var warnings []error
		r := run{recv: files.ReceiveOptions{Owner: step.owner, Ledger: ledger, Warn: func(err error) { warnings = append(warnings, err) }}}
		r.transfer(t, to, from)
		if got := proto.CodeOf(r.recvErr); got != step.want || len(warnings) != step.warnings {
			t.Errorf("transfer %d: got %v and %v, want %v and %d warnings", i, got, warnings, step.want, step.warnings)
		}
	}
}

// A ledger that can be neither read nor written lets a delivery pass, with one warning,
// and confirms nothing.
func TestLedgerThatCannotBeKept(t *testing.T) {
	t.Parallel()
	from, to, file := filepath.Join(t.TempDir(), "f"), t.TempDir(), filepath.Join(t.TempDir(), "file")
	write(t, from, []byte("1234"))
	write(t, file, nil)
	for i, want := range []proto.Code{proto.OK, proto.Unsafe} {
		var warnings []error
		r := run{recv: files.ReceiveOptions{Owner: "alice", Ledger: files.NewLedger(filepath.Join(file, "stored")), Warn: func(err error) { warnings = append(warnings, err) }}}
		r.transfer(t, to, from)
		if got := proto.CodeOf(r.recvErr); got != want || len(warnings) != 1-i {
			t.Errorf("transfer %d: got %v and %v, want %v and %d warnings", i, got, warnings, want, 1-i)
		}
	}
}
