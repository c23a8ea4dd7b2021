package runs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mesh/proto"
	"mesh/tools/cmdline"
	"mesh/tools/job"
	"mesh/tools/outfile"
)

// metricsFlag is --metrics of a run, which is over before anybody could ask it.
func metricsFlag() cli.Flag {
	return &cli.StringFlag{
		Name: cmdline.MetricsName, Usage: "write how the job has ended to `DIR`/mesh_NAME.prom, for the node exporter of Prometheus",
		Action: func(_ *cli.Context, dir string) error {
			if dir != "" && !os.IsPathSeparator(dir[len(dir)-1]) {
				err := proto.Errorf(proto.Usage, "--%s: want a folder with a slash at its end, DIR/", cmdline.MetricsName)
				return proto.Hint(err, "mesh-listen --metrics ADDR answers at an address")
			}
			return nil
		},
	}
}

// errNoJob is the error for --metrics alone.
var errNoJob = proto.Errorf(proto.Usage, "--%s needs --%s NAME: the metrics are those of a job", cmdline.MetricsName, cmdline.JobName)

// writeMetrics writes the state of a job into a folder that the textfile collector of
// Prometheus' node exporter reads: the whole file at once, readable by all.
func writeMetrics(dir string, s job.State) error {
	name := filepath.Join(dir, "mesh_"+s.Name+".prom")
	if err := outfile.Write(name, []byte(exposition(s)), 0o644); err != nil {
		return err
	}
	if err := os.Chmod(name, 0o644); err != nil { // whatever the umask is
		return proto.IOError(err)
	}
	return nil
}

// exposition returns the state in the text format of Prometheus, without times of samples,
// which the collector refuses. The label is name, and not job: that is Prometheus' own.
func exposition(s job.State) string {
	var b strings.Builder
	for _, m := range []struct {
		name, help string
		value      float64
	}{
		{"last_end_timestamp_seconds", "When the last run ended.", unix(s.Ended)},
		{"last_success_timestamp_seconds", "When a run last ended with 0; 0 for never.", unix(s.LastSuccess)},
		{"last_code", "The exit code of the last run.", float64(s.Code)},
		{"last_seconds", "How long the last run took.", s.Seconds},
		{"last_bytes", "How many bytes the last run moved.", float64(s.Bytes)},
		{"failures_in_a_row", "How many runs have failed since the last success.", float64(s.Failures)},
	} {
		fmt.Fprintf(&b, "# HELP mesh_job_%s %s\n# TYPE mesh_job_%[1]s gauge\nmesh_job_%[1]s{name=%[3]q} %[4]v\n", m.name, m.help, s.Name, m.value)
	}
	return b.String()
}

// unix returns a time in seconds since 1970, 0 for the zero time.
func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix())
}
