package board

import (
	"strings"

	"mesh/proto/path"
	"mesh/tools/metrics"
)

// viaOf returns the value of the label via: the transport, or that a relay carries it.
func viaOf(at Link) string {
	if kind, _, _ := strings.Cut(at.Path, " "); kind == string(path.Relay) {
		return metrics.ViaRelay
	}
	return at.Via
}

// Gauges returns what a card says as metrics: what is now, not what has happened.
func (c Card) Gauges() (list []metrics.Gauge) {
	list = append(list, c.transferGauges()...)
	if c.Mode == ModeInbox {
		list = append(list, c.inboxGauges()...)
	}
	return list
}

func (c Card) transferGauges() (list []metrics.Gauge) {
	directions := map[string]int{metrics.Sent: 0, metrics.Received: 0}
	vias := make(map[string]int)
	for _, via := range metrics.Vias {
		vias[via] = 0
	}
	for _, t := range c.Transfers {
		directions[t.Direction]++
		vias[viaOf(Link{Via: t.Via, Path: t.Path})]++
	}
	for d, n := range directions {
		list = append(list, metrics.Gauge{Name: metrics.Transfers, Label: metrics.LabelDirection, Word: d, Value: float64(n)})
	}
	for v, n := range vias {
		list = append(list, metrics.Gauge{Name: metrics.Links, Label: metrics.LabelVia, Word: v, Value: float64(n)})
	}
	return list
}

func (c Card) inboxGauges() (list []metrics.Gauge) {
	if c.Free != nil && c.Size != nil {
		list = append(list, metrics.Gauge{Name: metrics.InboxFree, Value: float64(*c.Free)}, metrics.Gauge{Name: metrics.InboxSize, Value: float64(*c.Size)})
	}
	for _, p := range c.Peers {
		if !p.Last.IsZero() {
			list = append(list, metrics.Gauge{Name: metrics.InboxLast, Label: metrics.LabelPeer, Word: p.Name, Value: float64(p.Last.Unix())})
		}
		overdue := 0.0
		if p.Overdue {
			overdue = 1
		}
		list = append(list, metrics.Gauge{Name: metrics.InboxOverdue, Label: metrics.LabelPeer, Word: p.Name, Value: overdue})
	}
	return list
}

// TerminalGauges sums up the shared terminals among cards.
func TerminalGauges(cards []Card) []metrics.Gauge {
	sessions, viewers, snapshots := 0, 0, int64(0)
	for _, c := range cards {
		if c.Terminal != nil {
			sessions++
			viewers += c.Terminal.Viewers
			snapshots += c.Terminal.Snapshots
		}
	}
	return []metrics.Gauge{
		{Name: metrics.TTYSessions, Value: float64(sessions)},
		{Name: metrics.TTYViewers, Value: float64(viewers)},
		{Name: metrics.TTYSnapshots, Value: float64(snapshots)},
	}
}
