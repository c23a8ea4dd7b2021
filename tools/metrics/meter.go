// Package metrics has the numbers of a listener that runs until it is stopped, and of jobs,
// for Prometheus.
//
// No label has a file, an address, a token or a node id. A peer is a name of the address
// book, or "other", so that strangers cannot make series.
package metrics

import (
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"mesh/proto"
	"mesh/proto/wire"
)

// The names of gauges, which [Meter.Write] gets.
const (
	Transfers    = "mesh_transfers"
	Links        = "mesh_links"
	InboxFree    = "mesh_inbox_free_bytes"
	InboxSize    = "mesh_inbox_size_bytes"
	InboxLast    = "mesh_inbox_last_delivery_timestamp_seconds"
	InboxOverdue = "mesh_inbox_overdue"
	TTYSessions  = "mesh_tty_sessions"
	TTYViewers   = "mesh_tty_viewers"
	TTYSnapshots = "mesh_tty_snapshots_total"
	Notified     = "mesh_notify_total"
	NotifyWaits  = "mesh_notify_waiting"
)

// The names of labels, and the words of those that have few.
const (
	LabelDirection = "direction"
	LabelVia       = "via"
	LabelPeer      = "peer"
	LabelChannel   = "channel"

	Sent, Received = "sent", "received"
	ViaRelay       = "relay"
)

// Vias are the values of the label via: the transport, or the relay that carries it.
var Vias = []string{proto.ViaQUIC, proto.ViaTCP, proto.ViaQUIC + "+" + proto.ViaTCP, ViaRelay}

// kinds are the values of the label kind, by the kind of a transfer.
var kinds = map[string]string{wire.KindPipe: "pipe", wire.KindFiles: "files", wire.KindTake: "files", wire.KindTTY: "tty"}

// reasons are the values of the label reason of a refused peer.
var reasons = map[proto.Code]string{
	proto.Denied: "denied", proto.Capability: "denied", proto.Declined: "denied", proto.Busy: "busy",
	proto.Identity: "identity", proto.Protocol: "protocol", proto.Version: "protocol", proto.Timeout: "timeout", proto.Unreachable: "timeout",
}

// bounds are those of the histogram of transfers, in seconds.
var bounds = []float64{0.1, 1, 5, 30, 60, 300, 1800, 3600, 14400, 36000}

// Meter counts what happens in one process. Its methods may be called by many goroutines. A
// nil *Meter counts nothing.
type Meter struct {
	set *metrics.Set
	// counters has those of set, to find them without their long names.
	counters sync.Map
}

// New returns a meter of a version of mesh. What is counted is there before it happens, so
// that its first increase is seen.
func New(version string) *Meter {
	m := &Meter{set: metrics.NewSet()}
	m.set.GetOrCreateGauge(fmt.Sprintf("mesh_build_info{version=%q,goversion=%q}", version, runtime.Version()), func() float64 { return 1 })
	for _, direction := range []string{Sent, Received} {
		m.set.GetOrCreatePrometheusHistogramExt(secondsName(direction), bounds)
		for _, kind := range []string{"pipe", "files"} {
			m.counter(transfersName(direction, kind, proto.OK))
		}
		for _, via := range Vias {
			m.counter(bytesName(direction, via))
		}
	}
	for _, reason := range reasons {
		m.counter(refusedName(reason))
	}
	for _, status := range []int{0, 1, int(proto.Timeout)} {
		m.counter(hookName(status))
	}
	m.counter(resumesName)
	m.set.GetOrCreateFloatCounter(outageName)
	return m
}

const (
	resumesName = "mesh_link_resumes_total"
	outageName  = "mesh_link_outage_seconds_total"
)

func secondsName(direction string) string {
	return fmt.Sprintf("mesh_transfer_seconds{direction=%q}", direction)
}

func transfersName(direction, kind string, code proto.Code) string {
	return fmt.Sprintf("mesh_transfers_total{direction=%q,kind=%q,result=%q}", direction, kind, code)
}

func bytesName(direction, via string) string {
	return fmt.Sprintf("mesh_transfer_bytes_total{direction=%q,via=%q}", direction, via)
}

func refusedName(reason string) string { return fmt.Sprintf("mesh_refused_total{reason=%q}", reason) }

func hookName(status int) string {
	result := "failed"
	switch status {
	case 0:
		result = "ok"
	case int(proto.Timeout):
		result = "timeout"
	}
	return fmt.Sprintf("mesh_hook_runs_total{result=%q}", result)
}

// counter returns the counter of a name with its labels.
func (m *Meter) counter(name string) *metrics.Counter {
	c, ok := m.counters.Load(name)
	if !ok {
		c, _ = m.counters.LoadOrStore(name, m.set.GetOrCreateCounter(name))
	}
	return c.(*metrics.Counter)
}

// Transfer is one that has ended.
type Transfer struct {
	Direction string // Sent or Received
	Kind      string // as on the wire
	Via       string // one of [Vias]
	Bytes     int64
	Took      time.Duration
	Code      proto.Code
}

// Ended counts a transfer that has ended.
func (m *Meter) Ended(t Transfer) {
	if m == nil {
		return
	}
	kind, known := kinds[t.Kind]
	if !known {
		return
	}
	m.counter(transfersName(t.Direction, kind, named(t.Code))).Inc()
	m.counter(bytesName(t.Direction, viaWord(t.Via))).AddInt64(t.Bytes)
	m.set.GetOrCreatePrometheusHistogramExt(secondsName(t.Direction), bounds).Update(t.Took.Seconds())
}

// named returns a code of the table: the status of a command may be any number.
func named(code proto.Code) proto.Code {
	for _, i := range proto.Codes {
		if i.Code == code {
			return code
		}
	}
	return proto.Failed
}

func viaWord(via string) string {
	for _, v := range Vias {
		if v == via {
			return v
		}
	}
	return proto.ViaQUIC + "+" + proto.ViaTCP // flows of both
}

// Resumed counts a link that was broken for some time, and is back.
func (m *Meter) Resumed(outage time.Duration) {
	if m != nil {
		m.counter(resumesName).Inc()
		m.set.GetOrCreateFloatCounter(outageName).Add(outage.Seconds())
	}
}

// Refused counts a peer that was turned away. A code that no peer causes is not counted.
func (m *Meter) Refused(code proto.Code) {
	if reason := reasons[code]; m != nil && reason != "" {
		m.counter(refusedName(reason)).Inc()
	}
}

// Delivered counts a delivery of a peer: a name of the address book, or "other".
func (m *Meter) Delivered(peer string, ok bool) {
	if m == nil {
		return
	}
	result := "failed"
	if ok {
		result = "ok"
	}
	m.counter(fmt.Sprintf("mesh_inbox_deliveries_total{peer=%q,result=%q}", peer, result)).Inc()
}

// Hook counts a run of the command for a stored file, by its exit status.
func (m *Meter) Hook(status int) {
	if m != nil {
		m.counter(hookName(status)).Inc()
	}
}

// Gauge is one number as it is now. Without a label Label is "". A second label is called
// result.
type Gauge struct {
	Name, Label, Word, Result string
	Value                     float64
}

func (g Gauge) series() string {
	switch {
	case g.Label == "":
		return g.Name
	case g.Result == "":
		return fmt.Sprintf("%s{%s=%q}", g.Name, g.Label, g.Word)
	}
	return fmt.Sprintf("%s{%s=%q,result=%q}", g.Name, g.Label, g.Word, g.Result)
}

// Write writes what is counted, and gauges, in the text format of Prometheus.
func (m *Meter) Write(w io.Writer, gauges []Gauge) {
	now := metrics.NewSet()
	for _, g := range gauges {
		now.GetOrCreateGauge(g.series(), func() float64 { return g.Value })
	}
	now.WritePrometheus(w)
	m.set.WritePrometheus(w)
}
