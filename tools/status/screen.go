package status

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"mesh/pipe/progress"
	"mesh/proto"
	"mesh/tools/board"
	"mesh/tools/notify"
)

const (
	columns   = 79 // of a line, if its words allow that
	titleWide = 9  // of the column with the title of a section
	maxName   = 24 // columns of a name
)

// row is a line of the screen: a name, or nothing, and what is to be said of it.
type row struct {
	name  string
	parts []string
}

// section is a title, and the rows below it.
type section struct {
	title string
	rows  []row
}

// screen returns the report as people read it.
func (r report) screen(now time.Time) string {
	var list []section
	for _, c := range r.Tools {
		list = append(list, r.tool(c, now))
	}
	list = append(list, transfers(r.Tools, now), hubs(r.Tools, now), channels(r.Notify, now), jobs(r.Jobs, now))
	var b strings.Builder
	for _, s := range list {
		s.write(&b)
	}
	if b.Len() == 0 {
		return "nothing runs here, and there are no jobs"
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// write writes a section. Its first line has the title.
func (s section) write(b *strings.Builder) {
	wide := 0
	for _, r := range s.rows {
		wide = max(wide, utf8.RuneCountInString(r.name))
	}
	for i, r := range s.rows {
		title := ""
		if i == 0 {
			title = s.title
		}
		head := pad(title, titleWide-1) + " "
		if r.name != "" {
			head += pad(r.name, wide) + "  "
		}
		b.WriteString(strings.TrimRight(head+wrap(r.parts, utf8.RuneCountInString(head)), " ") + "\n")
	}
}

// pad fills text with blanks up to a width.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(width-utf8.RuneCountInString(text), 0))
}

// wrap joins parts by commas, and breaks the line between two of them where it would be too
// long. The line begins at column indent.
func wrap(parts []string, indent int) string {
	var b strings.Builder
	at := indent
	for i, p := range parts {
		n := utf8.RuneCountInString(p)
		last := i == len(parts)-1
		switch {
		case i == 0:
		case at+2+n > columns || !last && at+3+n > columns:
			b.WriteString(",\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteString(", ")
			at += 2
		}
		b.WriteString(p)
		at += n
	}
	return b.String()
}

// shown makes a text safe to print, which a peer may have chosen, and shortens it to most
// columns.
func shown(text string, most int) string {
	text = proto.EscapeText(text)
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

// titles are those of running tools.
var titles = map[string]string{
	board.ModeInbox: "inbox", board.ModeOffer: "offer", board.ModeCommand: "command", board.ModePipe: "pipe",
	board.ModeTerminal: "terminal", board.ModeHub: "serves",
}

// titleOf returns the title of a mode, which may be one of a later version.
func titleOf(mode string) string {
	if title, known := titles[mode]; known {
		return title
	}
	return shown(mode, titleWide-1)
}

// tool returns the section of one running tool.
func (r report) tool(c board.Card, now time.Time) section {
	s := section{title: titleOf(c.Mode)}
	first := row{}
	if c.What != "" {
		first.parts = append(first.parts, shown(c.What, columns-titleWide))
	}
	switch {
	case c.Silent != "":
		first.parts = append(first.parts, "runs and does not answer: "+shown(c.Silent, columns))
		s.rows = []row{first}
		return s
	case c.Terminal != nil:
		first.parts = append(first.parts, terminalParts(*c.Terminal)...)
	case c.Server != nil:
		first.parts = append(first.parts, serverParts(*c.Server)...)
	}
	first.parts = append(first.parts, "up "+span(now.Sub(c.Begun)))
	if c.Free != nil {
		first.parts = append(first.parts, progress.Bytes(*c.Free)+" free")
	}
	if c.Terminal == nil && c.Places > 1 {
		first.parts = append(first.parts, fmt.Sprintf("%d of %d places taken", c.Taken, c.Places))
	}
	if c.Version != r.Version {
		first.parts = append(first.parts, fmt.Sprintf("running %s, installed %s", shown(c.Version, maxName), r.Version))
	}
	s.rows = []row{first}
	for _, p := range c.Peers {
		s.rows = append(s.rows, row{shown(p.Name, maxName), peerParts(p, now)})
	}
	return s
}

func terminalParts(t board.Terminal) (parts []string) {
	parts = append(parts, fmt.Sprintf("%d view", t.Viewers))
	if n := len(t.Writers); n > 0 {
		parts = append(parts, fmt.Sprintf("%d types", n))
	}
	if n := len(t.Asking); n > 0 {
		parts = append(parts, fmt.Sprintf("%d asking to type", n))
	}
	if t.Paused {
		parts = append(parts, "paused")
	}
	return parts
}

func serverParts(s board.Server) (parts []string) {
	parts = append(parts, fmt.Sprintf("%d of %d members online", s.Online, s.Members))
	if s.Sessions > 0 {
		parts = append(parts, fmt.Sprintf("%d sessions", s.Sessions))
	}
	if s.Relayed > 0 {
		parts = append(parts, fmt.Sprintf("relays for %d pairs", s.Relayed))
	}
	if s.Draining {
		parts = append(parts, "sends its members away")
	}
	return parts
}

func peerParts(p board.Peer, now time.Time) (parts []string) {
	if p.Expect > 0 {
		parts = append(parts, "expected every "+span(seconds(p.Expect)))
	}
	switch {
	case p.Deliveries == 1:
		parts = append(parts, "1 delivery", progress.Bytes(p.Bytes))
	case p.Deliveries > 1:
		parts = append(parts, fmt.Sprintf("%d deliveries", p.Deliveries), progress.Bytes(p.Bytes))
	}
	if p.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", p.Failed))
	}
	last := "never came"
	if !p.Last.IsZero() {
		last = "last " + ago(p.Last, now)
	}
	if p.Overdue {
		last += ": OVERDUE"
	}
	return append(parts, last)
}

// transfers returns the section of what is sent and received now.
func transfers(cards []board.Card, now time.Time) section {
	s := section{title: "now"}
	for _, c := range cards {
		for _, t := range c.Transfers {
			s.rows = append(s.rows, row{shown(t.Peer, maxName), transferParts(t, now)})
		}
	}
	return s
}

func transferParts(t board.Transfer, now time.Time) (parts []string) {
	if t.Name != "" {
		parts = append(parts, shown(filepath.Base(t.Name), columns/2))
	}
	moved := t.Direction + " " + progress.Bytes(t.Bytes)
	if t.Total > 0 {
		moved += " of " + progress.Bytes(t.Total)
	}
	parts = append(parts, shown(moved, columns))
	switch {
	case t.Broken > 0:
		parts = append(parts, "no link for "+span(seconds(t.Broken)))
	default:
		parts = append(parts, progress.Bytes(int64(t.Rate))+"/s")
		if left := float64(t.Total-t.Bytes) / t.Rate; t.Total > t.Bytes && t.Rate > 0 {
			parts = append(parts, span(seconds(left))+" left")
		}
	}
	parts = append(parts, "for "+span(now.Sub(t.Begun)))
	return append(parts, fmt.Sprintf("%s, %s", shown(t.Path, maxName), shown(t.Addr, columns)))
}

// hubs returns the section of the hubs at which the tools are.
func hubs(cards []board.Card, now time.Time) section {
	s := section{title: "hub"}
	for _, c := range cards {
		for _, h := range c.Hubs {
			state := "connected " + span(now.Sub(h.Since))
			if h.Error != "" {
				state = "not reached for " + span(now.Sub(h.Since))
			}
			if h.As != "" {
				state += " as " + shown(h.As, maxName)
			}
			parts := []string{state, "for the " + titleOf(c.Mode)}
			if h.Error != "" {
				parts = append(parts, shown(h.Error, columns))
			}
			s.rows = append(s.rows, row{shown(h.Host, columns/2), parts})
		}
	}
	return s
}

// channels returns the section of the channels of notifications.
func channels(states []notify.ChannelState, now time.Time) section {
	s := section{title: "notify"}
	for _, c := range states {
		why := ""
		if c.Error != "" {
			why = " (" + shown(c.Error, columns) + ")"
		}
		var parts []string
		switch {
		case c.Waiting > 0:
			parts = append(parts, fmt.Sprintf("%d wait since %s", c.Waiting, clock(c.Since, now))+why)
		case !c.Failed.IsZero():
			parts = append(parts, "failed "+ago(c.Failed, now)+why)
		}
		if !c.Sent.IsZero() {
			parts = append(parts, "sent "+ago(c.Sent, now))
		}
		s.rows = append(s.rows, row{shown(c.Channel, maxName), parts})
	}
	return s
}

// jobs returns the section of the jobs.
func jobs(states []jobState, now time.Time) section {
	s := section{title: "jobs"}
	for _, j := range states {
		parts := jobParts(j, now)
		if j.Overdue {
			parts = append([]string{"OVERDUE"}, parts...)
		}
		s.rows = append(s.rows, row{shown(j.Name, maxName), parts})
	}
	return s
}

func jobParts(j jobState, now time.Time) []string {
	took := progress.Bytes(j.Bytes) + " in " + span(seconds(j.Seconds))
	switch {
	case j.Running:
		parts := []string{"runs since " + clock(j.Begun, now), fmt.Sprintf("pid %d", j.PID)}
		if j.Failures > 0 {
			parts = append(parts, times(j.Failures)+" failed before")
		}
		return parts
	case j.Killed:
		return []string{"was killed, began " + ago(j.Begun, now), times(j.inARow()) + " in a row"}
	case j.Code == 0:
		return []string{"ok " + clock(j.Ended, now), took}
	}
	return []string{"failed " + ago(j.Ended, now), times(j.Failures) + ": " + fmt.Sprintf("%s (%d)", proto.Code(j.Code), j.Code), shown(j.Error, columns)}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// ago says how long ago something was. A clock that was set back gives "just now".
func ago(t, now time.Time) string {
	if now.Sub(t) < time.Second {
		return "just now"
	}
	return span(now.Sub(t)) + " ago"
}

// clock returns the local time of something, with its date if it was not today.
func clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04")
	}
	return t.Format("2006-01-02 15:04")
}

// span returns a time in its largest unit that has two of it: 41 s, 90 min, 31 h, 6 d.
func span(d time.Duration) string {
	d = max(d, 0)
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%d d", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}
