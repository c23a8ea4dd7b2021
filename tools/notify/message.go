package notify

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"mesh/proto"
)

// Kind says why a message is sent.
type Kind string

// The kinds of messages.
const (
	Failed  Kind = "failed"
	Works   Kind = "works"   // the first success after a failure that was told
	Done    Kind = "done"    // an end, where all ends are told
	Overdue Kind = "overdue" // what was expected did not come
	Came    Kind = "came"    // what was overdue has come
	Joined  Kind = "joined"  // somebody views a shared terminal
	Asks    Kind = "asks"    // a viewer asks to type
	More    Kind = "more"    // counts what a peer has caused, and was not told
	Text    Kind = "text"    // mesh notify
)

// The events that messages tell of, as --events calls them.
const (
	EventEnd      = "end"      // of a run
	EventBranch   = "branch"   // of a run to several peers, to one of them
	EventDelivery = "delivery" // to an inbox
	EventSilence  = "silence"
	EventTerminal = "terminal"
	EventNotify   = "notify" // of mesh notify
	EventMore     = "more"
	EventMerged   = "merged" // several messages in one
)

// Message is what a person is told. Its JSON is what the webhook and the command get.
// The caller sets what is known; the Notifier sets host, title, text and, of an end, the
// kind.
type Message struct {
	Event string    `json:"event"`
	Kind  Kind      `json:"kind"`
	Time  time.Time `json:"time"`
	Host  string    `json:"host"`
	Title string    `json:"title"`
	Text  string    `json:"text"`

	Job      string      `json:"job,omitempty"`
	Tool     string      `json:"tool,omitempty"` // mesh-cat
	Tries    int         `json:"tries,omitempty"`
	Failures int         `json:"failures,omitempty"` // in a row, as far as they were seen
	Code     *proto.Code `json:"code,omitempty"`
	Name     string      `json:"name,omitempty"` // of the code
	Error    string      `json:"error,omitempty"`
	Hint     string      `json:"hint,omitempty"`

	PeerID   string  `json:"peer_id,omitempty"`
	PeerName string  `json:"peer_name,omitempty"`
	PeerAddr string  `json:"peer_addr,omitempty"`
	Transfer string  `json:"transfer,omitempty"`
	Via      string  `json:"via,omitempty"`
	Path     string  `json:"path,omitempty"`
	Trust    string  `json:"trust,omitempty"`
	Folder   string  `json:"folder,omitempty"`
	Bytes    *int64  `json:"bytes,omitempty"`
	BLAKE3   string  `json:"blake3,omitempty"`
	Seconds  float64 `json:"seconds,omitempty"`

	// Messages are the newest of the messages that this one stands for, and Count is the
	// number of all.
	Messages []Message `json:"messages,omitempty"`
	Count    int       `json:"count,omitempty"`

	// Err is the result of a run or of a delivery.
	Err error `json:"-"`
	// Subject is what fails and works again: a job, or a peer. An end without a subject
	// is told each time.
	Subject string `json:"-"`
	// From is the peer that has caused the message, or the token of a stranger: the number
	// of its messages is limited. It is "" for what no peer can cause.
	From string `json:"-"`
	// Peer is the name or the short id of the peer, for people.
	Peer string `json:"-"`
	// Receipt is what the tool prints of the transfer.
	Receipt string `json:"-"`
	// Since is when the failures began.
	Since time.Time `json:"-"`
	// Words and Says are the title without "mesh:" and the host, and the text, of a message
	// that is no end. NamelessWords and NamelessSays replace them where names are hidden.
	Words, Says, NamelessWords, NamelessSays string `json:"-"`
}

// maxTextBytes bounds the error and hint of a message, and the text of mesh notify.
const maxTextBytes = 1 << 10

// withResult returns m with what Err says.
func (m Message) withResult() Message {
	code := proto.CodeOf(m.Err)
	m.Code, m.Name = &code, code.String()
	if m.Err != nil {
		m.Error = shown(m.Err.Error())
		m.Hint = shown(strings.Join(proto.Hints(m.Err), "; "))
	}
	return m
}

// shown returns a text as it is printed on standard error, but not longer than a message
// may be.
func shown(text string) string { return cut(proto.HideSecrets(proto.OneLine(text)), maxTextBytes) }

// cut returns at most so many bytes of a text.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	at := most - len("…")
	for !utf8.RuneStart(text[at]) {
		at--
	}
	return text[:at] + "…"
}

// complete returns m as it is sent.
func (m Message) complete(host string, hideNames bool, now time.Time) Message {
	m.Time, m.Host = now.UTC().Truncate(time.Millisecond), host
	if hideNames {
		m = m.withoutNames()
	}
	words, text := m.Words, m.Says
	switch m.Kind {
	case Failed:
		words, text = m.what()+" failed", m.failure()
	case Works:
		words = m.what() + " works again"
		text = fmt.Sprintf("%s works again after %s in %s", m.what(), failures(m.Failures), Spell(now.Sub(m.Since)))
		text = lines(text, m.Receipt)
	case Done:
		words, text = m.what()+" is done", lines(m.Receipt, m.tried())
	}
	m.Title = cut("mesh: "+words+" on "+host, maxTextBytes)
	if m.Text = text; m.Text == "" { // a server may refuse an empty one
		m.Text = m.Title
	}
	return m
}

// withoutNames returns m without what names a peer or a file. An error may name both.
func (m Message) withoutNames() Message {
	m.PeerID, m.PeerName, m.PeerAddr, m.Peer, m.Folder, m.Receipt, m.Hint = "", "", "", "", "", "", ""
	if m.Error != "" {
		m.Error = strings.TrimSuffix(m.meaning()+", "+m.tried(), ", ")
	}
	m.Words, m.Says = m.NamelessWords, m.NamelessSays
	return m
}

// meaning returns what the code means.
func (m Message) meaning() string {
	for _, c := range proto.Codes {
		if m.Code != nil && c.Code == *m.Code {
			return c.Meaning
		}
	}
	return m.Name
}

// what names what has ended.
func (m Message) what() string {
	switch {
	case m.Event == EventBranch:
		return cmp.Or(m.Job, m.Tool) + " to " + cmp.Or(m.Peer, "a peer")
	case m.Job != "":
		return m.Job
	case m.Event == EventDelivery && m.Peer == "":
		return "a delivery"
	case m.Event == EventDelivery:
		return "a delivery from " + m.Peer
	case m.Peer != "":
		return m.Tool + " with " + m.Peer
	}
	return m.Tool
}

// label names the peer that has caused a message.
func (m Message) label(hideNames bool) string {
	if hideNames || m.Peer == "" {
		return "a peer"
	}
	return m.Peer
}

// failure returns the text of a failure: the error and the hint as on standard error.
func (m Message) failure() string {
	text := "error: " + m.Error
	if m.Hint != "" {
		text += "\nhint: " + m.Hint
	}
	end := fmt.Sprintf("code %d (%s)", *m.Code, m.Name)
	if m.Failures > 1 {
		end += fmt.Sprintf(", failure %d in a row", m.Failures)
	}
	return lines(cut(text, maxTextBytes), end, m.Receipt)
}

func (m Message) tried() string {
	if m.Tries < 2 {
		return ""
	}
	return fmt.Sprintf("after %d tries", m.Tries)
}

// lines joins those texts that are not empty.
func lines(texts ...string) string {
	var some []string
	for _, t := range texts {
		if t != "" {
			some = append(some, t)
		}
	}
	return strings.Join(some, "\n")
}

func failures(n int) string {
	if n == 1 {
		return "1 failure"
	}
	return fmt.Sprintf("%d failures", n)
}

// Spell returns a time as people say it.
func Spell(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

// priority is that of a Gotify server: 0 to 10.
func (k Kind) priority() int {
	switch k {
	case Failed:
		return 8
	case Done:
		return 2
	}
	return 5
}

// maxMerged bounds the messages that a merged one holds.
const maxMerged = 20

// merge returns one message for several, the oldest first. dropped is how many others
// were given up before.
func merge(messages []Message, dropped int, now time.Time) Message {
	m := messages[len(messages)-1]
	switch {
	case len(messages) > 1:
		m = merged(messages)
	case now.Sub(m.Time) > time.Minute:
		m.Text = lines(m.Text, "since "+At(m.Time)+" this message could not be delivered")
	}
	if dropped > 0 {
		m.Text = lines(m.Text, fmt.Sprintf("%d earlier messages could not be delivered, and are lost", dropped))
	}
	return m
}

func merged(messages []Message) Message {
	newest := messages[max(len(messages)-maxMerged, 0):]
	last := newest[len(newest)-1]
	m := Message{Event: EventMerged, Kind: Done, Time: last.Time, Host: last.Host, Messages: newest, Count: len(messages)}
	m.Title = fmt.Sprintf("mesh: %d messages from %s", m.Count, m.Host)
	var text []string
	if older := len(messages) - len(newest); older > 0 {
		text = append(text, fmt.Sprintf("%d older ones", older))
	}
	for _, one := range newest {
		first, _, _ := strings.Cut(one.Text, "\n")
		text = append(text, cut(At(one.Time)+" "+strings.TrimPrefix(one.Title, "mesh: ")+": "+first, 200))
		if one.Kind.priority() > m.Kind.priority() {
			m.Kind = one.Kind
		}
	}
	m.Text = strings.Join(text, "\n")
	return m
}

// At returns a time as people of this machine read it.
func At(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }
