package runs_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mesh/proto"
	"mesh/proto/xtest"
	"mesh/tools/runs"
)

// TestMetricsFile wants the file after a success and after a failure, whole, readable by
// all, and in the format that the collector takes.
func TestMetricsFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := runs.Options{Job: "db.1", State: t.TempDir(), Metrics: dir + "/"}
	line := regexp.MustCompile(`^(# (HELP|TYPE) mesh_job_[a-z_]+ .+|mesh_job_[a-z_]+\{name="db\.1"\} [0-9.e+-]+)\n$`)
	begun := time.Now().Unix()
	for _, tt := range []struct {
		fails error
		want  []string
	}{
		{nil, []string{`last_code{name="db.1"} 0`, `last_bytes{name="db.1"} 7`, `failures_in_a_row{name="db.1"} 0`}},
		{proto.Errorf(proto.Denied, "no"), []string{`last_code{name="db.1"} 20`, `failures_in_a_row{name="db.1"} 1`}},
		{proto.Errorf(proto.Denied, "no"), []string{`failures_in_a_row{name="db.1"} 2`}},
	} {
		var words strings.Builder
		_ = o.Run(t.Context(), streams(&words), func(context.Context, runs.Try) (runs.Facts, error) { return runs.Facts{Bytes: 7}, tt.fails })
		name := filepath.Join(dir, "mesh_db.1.prom")
		text, err := os.ReadFile(name)
		if err != nil || words.Len() > 0 {
			t.Fatalf("%v: got %v, words %q", tt.fails, err, &words)
		}
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("got mode %v, %v, want 0644", info.Mode(), err)
		}
		for _, w := range tt.want {
			if !strings.Contains(string(text), "mesh_job_"+w+"\n") {
				t.Errorf("%v: want %s in\n%s", tt.fails, w, text)
			}
		}
		for l := range strings.Lines(string(text)) {
			if !line.MatchString(l) {
				t.Errorf("not in the format: %q", l)
			}
			if value, ok := strings.CutPrefix(l, `mesh_job_last_success_timestamp_seconds{name="db.1"} `); ok && strings.TrimSpace(value) == "0" {
				t.Errorf("%v: no time of the success, which was after %d", tt.fails, begun)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("got %v, %v, want one file", entries, err)
	}
}

// A folder that is not there changes nothing about the transfer, and is told.
func TestMetricsFolderMissing(t *testing.T) {
	t.Parallel()
	var words strings.Builder
	o := runs.Options{Job: "db", State: t.TempDir(), Metrics: filepath.Join(t.TempDir(), "none") + "/"}
	err := o.Run(t.Context(), streams(&words), func(context.Context, runs.Try) (runs.Facts, error) { return runs.Facts{}, nil })
	if err != nil || !strings.Contains(words.String(), "warning: job db: its metrics are those of an older run: ") {
		t.Errorf("got %v and %q", err, &words)
	}
	o.Job = ""
	err = o.Run(t.Context(), streams(&words), func(context.Context, runs.Try) (runs.Facts, error) {
		t.Error("metrics without a job: a transfer was made")
		return runs.Facts{}, nil
	})
	xtest.WantCode(t, "metrics without a job", err, proto.Usage)
}
