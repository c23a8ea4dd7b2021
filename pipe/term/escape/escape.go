// Package escape finds what a person who types into a shared terminal says to
// the tool itself: ~. and the like, as in ssh, after a newline only, however the
// terminal encodes keys. It is a state machine without I/O: what it finds does not
// depend on how the keys were cut into reads.
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

// Names are the keys of commands, as a help text of one line shows them.
const Names = ". leave, ^Z suspend, s status, arrows move the view"

// The marks around pasted text, in mode 2004 of xterm.
const (
	pasteBegin = "\x1b[200~"
	pasteEnd   = "\x1b[201~"
)

// Keys is what is known of the keys so far. Within pasted text there is no
// command, if the terminal marks it.
type Keys struct {
	// Char is the escape character; without one there are no commands.
	Char byte
	// Anywhere takes commands not only after a newline.
	Anywhere bool
	// Unmark drops the marks around pasted text.
	Unmark bool
	// NoText drops of each key in kitty's protocol the text that the terminal tells
	// beside it.
	NoText bool

	seq     []byte // of a key that has not ended
	state   state
	held    []byte // the begin of a command
	char    int    // the code of the key that began it
	inner   bool   // the last key was no newline
	paste   bool   // between the marks
	pressed bool
	down    [2]int // codes of a command's keys, whose release is nobody's business
	send    []byte
}

type state int

const (
	plain  state = iota
	char         // the escape character has come
	panned       // an arrow has come behind it
)

// Next takes keys until a command is found. It returns what is to be sent, whole
// keys and good until the next call, the command that comes after that, and how
// many bytes of p it took: all, if there is no command.
func (k *Keys) Next(p []byte) (send []byte, c Command, n int) {
	k.send = k.send[:0]
	for i, b := range p {
		if c := k.take(b); c != None {
			return k.send, c, i + 1
		}
	}
	return k.send, None, len(p)
}

// Withholds reports whether the begin of a key, which may be the key Escape, waits
// for more of it, or for [Keys.Flush].
func (k *Keys) Withholds() bool { return len(k.seq) > 0 }

// Flush returns the keys that were withheld, for when no more came within some
// 20 ms: a terminal sends the bytes of one key at once.
func (k *Keys) Flush() []byte {
	k.send = k.send[:0]
	k.flush()
	return k.send
}

// End returns what is still withheld when there are no more keys.
func (k *Keys) End() []byte {
	k.Flush()
	k.release()
	return k.send
}

// Pressed reports whether a key was pressed since this was asked last. A terminal
// may also tell of keys that are released, and of those that only modify others.
func (k *Keys) Pressed() bool {
	was := k.pressed
	k.pressed = false
	return was
}

// take takes a byte.
func (k *Keys) take(b byte) Command {
	if len(k.seq) > 0 && !continues(k.seq, b) {
		k.flush()
	}
	k.seq = append(k.seq, b)
	if !whole(k.seq) {
		return None
	}
	c := k.key(k.seq)
	k.seq = k.seq[:0]
	return c
}

// flush sends what was withheld and is no key but Escape, with characters behind it.
func (k *Keys) flush() {
	if len(k.seq) == 0 {
		return
	}
	k.release()
	k.send = append(k.send, k.seq...)
	k.seq = k.seq[:0]
	k.inner, k.pressed = true, true
}

// key takes a whole key. What turns out to be no command is sent.
func (k *Keys) key(b []byte) Command {
	switch s := string(b); {
	case s == pasteBegin || s == pasteEnd:
		k.release()
		k.paste = s == pasteBegin
		if !k.Unmark {
			k.send = append(k.send, b...)
		}
		return None
	case k.paste:
		k.release()
		k.send = append(k.send, b...)
		k.inner = s != "\r" && s != "\n"
		return None
	}
	key := parse(b)
	if key.quiet {
		k.quiet(b, key)
		return None
	}
	k.pressed = true
	k.forget(key.code)
	if c := k.command(b, key); c != None || k.state == char {
		return c
	}
	k.release()
	k.send = k.append(k.send, b)
	c := key.char()
	k.inner = c != '\r' && c != '\n'
	return None
}

// command takes a key that may end a command, or begin one: then it is held. Else
// it has yet to be sent.
func (k *Keys) command(b []byte, key key) Command {
	c := key.char()
	begins := c != 0 && c == int(k.Char)
	switch k.state {
	case char:
		k.state = plain
		switch c {
		case '.':
			return k.found(Detach, plain, key)
		case 'Z' - '@':
			return k.found(Suspend, plain, key)
		case '?':
			return k.found(Help, plain, key)
		case 's':
			return k.found(Status, plain, key)
		case 'r':
			return k.found(Ask, plain, key)
		}
		if begins { // twice is once
			k.held = k.held[:0]
		}
		if c := key.arrow(); c != None {
			return k.found(c, panned, key)
		}
	case panned:
		if c := key.arrow(); c != None {
			return k.found(c, panned, key)
		}
		if begins {
			k.hold(b, key)
		}
	case plain:
		if begins && (k.Anywhere || !k.inner) {
			k.hold(b, key)
		}
	}
	return None
}

// quiet takes a key that is released, or only modifies others: it neither begins a
// command nor ends one that has begun.
func (k *Keys) quiet(b []byte, key key) {
	switch {
	case k.forget(key.code):
	case k.state == char:
		k.held = k.append(k.held, b)
	case k.state == plain:
		k.send = k.append(k.send, b)
	}
}

// forget forgets a key of a command that is down, and reports whether it was.
func (k *Keys) forget(code int) (was bool) {
	for i := range k.down {
		if code != 0 && k.down[i] == code {
			k.down[i], was = 0, true
		}
	}
	return was
}

func (k *Keys) found(c Command, next state, key key) Command {
	k.held = k.held[:0]
	k.state = next
	k.down = [2]int{k.char, key.code}
	return c
}

func (k *Keys) hold(b []byte, key key) {
	k.held = k.append(k.held[:0], b)
	k.state = char
	k.char = key.code
}

// release sends what was held for a command that did not come.
func (k *Keys) release() {
	if len(k.held) > 0 {
		k.send = append(k.send, k.held...)
		k.held = k.held[:0]
		k.inner = true
	}
	k.state = plain
}

// append appends a key as it is to be sent.
func (k *Keys) append(dst, b []byte) []byte {
	if k.NoText {
		return withoutText(dst, b)
	}
	return append(dst, b...)
}
