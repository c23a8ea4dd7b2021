package files_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/wire"
)

// sendTo sends names to a receiver that answers each entry and the end as it likes.
func sendTo(t *testing.T, names []string, answer func(*wire.Entry) *wire.Answer, stored *wire.Stored) (files.Summary, error) {
	t.Helper()
	return sendWith(t, files.SendOptions{}, names, answer, stored)
}

// sendWith is [sendTo] with options, and any frames at the end.
func sendWith(t *testing.T, o files.SendOptions, names []string, answer func(*wire.Entry) *wire.Answer, last ...wire.Message) (files.Summary, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	entries, to := io.Pipe()
	from, answers := io.Pipe()
	go func() {
		defer answers.Close()
		for {
			typ, body, err := wire.ReadFrame(entries, wire.TypeEntry, wire.TypeFrom, wire.TypeData, wire.TypeEnd, wire.TypeTotal)
			if err != nil {
				return
			}
			var replies []wire.Message
			var e wire.Entry
			switch typ {
			case wire.TypeEntry:
				if wire.ParseBody(body, &e) == nil && !e.Now {
					replies = append(replies, answer(&e))
				}
			case wire.TypeTotal:
				replies = last
			}
			for _, m := range replies {
				_, _ = answers.Write(frame(m))
			}
		}
	}()
	sum, err := files.Send(ctx, names, from, to, o)
	_, _ = to.Close(), from.Close()
	return sum, err
}

// The sender succeeds only if the receiver accounts for all that was sent: what is
// neither stored, nor was there, nor was refused, is lost.
func TestReceiverCounts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var names []string
	for i := range 5 {
		names = append(names, filepath.Join(dir, fmt.Sprint(i)))
		if err := os.WriteFile(names[i], []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tree := filepath.Join(dir, "tree") // with a sixth file
	if err := os.MkdirAll(filepath.Join(tree, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "f"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	names = append(names, tree)
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, []byte(strings.Repeat("x", proto.SmallFileBytes+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	want := func(e *wire.Entry) *wire.Answer { return &wire.Answer{ID: e.ID, Fresh: e.Kind == wire.EntryFolder} }
	skip := func(e *wire.Entry) *wire.Answer { return &wire.Answer{ID: e.ID, Skip: e.Kind == wire.EntryFile} }
	refuse := func(e *wire.Entry) *wire.Answer { return &wire.Answer{ID: e.ID, Code: proto.Unsafe} }
	for _, tt := range []struct {
		what   string
		names  []string
		answer func(*wire.Entry) *wire.Answer
		stored wire.Stored
		want   proto.Code
	}{
		{"all stored", names, want, wire.Stored{Files: 6}, proto.OK},
		{"all there", names, skip, wire.Stored{Skipped: 6}, proto.OK},
		{"some of each", names, want, wire.Stored{Files: 4, Skipped: 2}, proto.OK},
		{"all refused", names, refuse, wire.Stored{Refused: 6, Code: proto.Unsafe}, proto.Unsafe},
		{"nothing", names, want, wire.Stored{}, proto.Protocol},
		{"one too few", names, want, wire.Stored{Files: 5}, proto.Protocol},
		{"one too many", names, want, wire.Stored{Files: 7}, proto.Protocol},
		{"skipped one too few", names, skip, wire.Stored{Skipped: 5}, proto.Protocol},
		{"skipped one too many", names, want, wire.Stored{Files: 6, Skipped: 1}, proto.Protocol},
		{"a sum that overflows", names, want, wire.Stored{Files: 6, Skipped: 1<<63 - 1}, proto.Protocol},
		{"one refused, and one lost", names, want, wire.Stored{Files: 4, Refused: 1, Code: proto.IO}, proto.Protocol},
		{"one refused", names, want, wire.Stored{Files: 5, Refused: 1, Code: proto.IO}, proto.IO},
		{"a large file stored", []string{large}, want, wire.Stored{Files: 1}, proto.OK},
		{"a large file there, without a digest", []string{large}, skip, wire.Stored{Skipped: 1}, proto.Protocol},
		{"a folder that is there", []string{tree}, func(e *wire.Entry) *wire.Answer { return &wire.Answer{ID: e.ID} }, wire.Stored{Files: 1}, proto.OK},
		{"no file in a folder", []string{tree}, want, wire.Stored{}, proto.Protocol},
	} {
		_, err := sendTo(t, tt.names, tt.answer, &tt.stored)
		if got := proto.CodeOf(err); got != tt.want {
			t.Errorf("%s: got %v (%v), want %v", tt.what, got, err, tt.want)
		}
	}
}
