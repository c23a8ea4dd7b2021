// Package escape finds what a person who types into a shared terminal says to
// the tool itself: ~. and the like, as in ssh, after a newline only. It is a
// state machine without I/O: what it finds does not depend on how the keys were
// cut into reads.
package escape

// A Command is what a person wants of the tool.
type Command int

// The commands, behind the escape character. Of the last four one may follow
// the other without it.
const (
	None    Command = iota
	Detach          // .
	Suspend         // Ctrl-Z
	Help            // ?
	Status          // s
	Ask             // r
	Up              // the arrows
	Down
	Right
	Left
)

// Names are the keys of commands, as a help text shows them.
const Names = ".  leave   ^Z  suspend   s  status   arrows  move the view   ?  this help"

const escape = 0x1b

// Keys is what is known of the keys so far. Within pasted text there is no
// command, if the terminal marks it.
type Keys struct {
	// Char is the escape character; without one there are no commands.
	Char byte
	// Anywhere takes commands not only after a newline.
	Anywhere bool
	// Unmark drops the marks around pasted text. Then a lone ESC is withheld, as
	// the begin of a mark, until [Keys.Flush].
	Unmark bool

	marks marks
	state state
	held  []byte // the begin of a command
	inner bool   // the last key was no newline
	part  part   // of a function key that was sent
	send  []byte
}

type state int

const (
	plain   state = iota
	char          // the escape character has come
	panned        // an arrow has come behind it
	arrow         // ESC has come behind either
	bracket       // and [ or O
)

// Next takes keys until a command is found. It returns what is to be sent, good
// until the next call, the command that comes after that, and how many bytes of
// p it took: all, if there is no command.
func (k *Keys) Next(p []byte) (send []byte, c Command, n int) {
	k.send = k.send[:0]
	for i, b := range p {
		for _, b := range k.marks.take(b, k.Unmark) {
			// What a mark releases together has no command but at its end.
			c = max(c, k.key(b))
		}
		if c != None {
			return k.send, c, i + 1
		}
	}
	return k.send, None, len(p)
}

// Withholds reports whether keys wait for [Keys.Flush].
func (k *Keys) Withholds() bool {
	return k.marks.n > 0 && k.Unmark || k.state == arrow || k.state == bracket
}

// Flush returns the keys that were withheld, for when no more came within some
// 20 ms: a terminal sends the bytes of one key at once.
func (k *Keys) Flush() []byte {
	k.send = k.send[:0]
	if k.Unmark {
		for _, b := range k.marks.release() {
			k.key(b)
		}
	}
	if k.state == arrow || k.state == bracket {
		k.release()
	}
	return k.send
}

// End returns what is still withheld when there are no more keys.
func (k *Keys) End() []byte {
	k.Flush()
	k.release()
	return k.send
}

// key takes a key. What turns out to be no command is sent.
func (k *Keys) key(b byte) Command {
	if k.marks.paste {
		k.release()
		k.put(b)
		return None
	}
	switch k.state {
	case char:
		switch b {
		case '.':
			return k.found(Detach, plain)
		case 'Z' - '@':
			return k.found(Suspend, plain)
		case '?':
			return k.found(Help, plain)
		case 's':
			return k.found(Status, plain)
		case 'r':
			return k.found(Ask, plain)
		case escape:
			return k.hold(b, arrow)
		case k.Char:
			k.held = k.held[:0]
		}
	case panned:
		if b == escape {
			return k.hold(b, arrow)
		}
		if b == k.Char {
			return k.hold(b, char)
		}
	case arrow:
		if b == '[' || b == 'O' {
			return k.hold(b, bracket)
		}
	case bracket:
		if b >= 'A' && b <= 'D' {
			return k.found(Up+Command(b-'A'), panned)
		}
	case plain:
		if k.Char != 0 && b == k.Char && (k.Anywhere || !k.inner) && k.part != parameters {
			return k.hold(b, char)
		}
	}
	k.release()
	k.put(b)
	return None
}

func (k *Keys) found(c Command, next state) Command {
	k.held = k.held[:0]
	k.state = next
	return c
}

func (k *Keys) hold(b byte, next state) Command {
	k.held = append(k.held, b)
	k.state = next
	return None
}

func (k *Keys) release() {
	for _, b := range k.held {
		k.put(b)
	}
	k.held = k.held[:0]
	k.state = plain
}

func (k *Keys) put(b byte) {
	k.send = append(k.send, b)
	k.inner = b != '\r' && b != '\n'
	switch {
	case b == escape:
		k.part = begin
	case k.part == begin && b == '[', k.part == parameters && ' ' <= b && b < '@':
		k.part = parameters
	default:
		k.part = none
	}
}

// A part is how much of a function key there is: ESC, [, parameters, and an end that
// may be the escape character, as in PgUp's.
type part int

const (
	none part = iota
	begin
	parameters
)
