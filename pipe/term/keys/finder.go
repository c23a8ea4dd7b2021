package keys

// A Command is what a viewer asks of the tool itself.
type Command int

// The commands, with their keys after the escape character. After a pan another one
// may follow without the escape character.
const (
	None    Command = iota
	Detach          // .
	Suspend         // Ctrl-Z
	Help            // ?
	Status          // s
	Ask             // r
	PanUp           // the arrows
	PanDown
	PanRight
	PanLeft

	// These two are no commands: their keys are sent. They are reported with
	// [Finder.Reports], as the last of the keys to send.
	Interrupt // Ctrl-C
	Pasted    // the end of pasted text
)

// CommandHelp lists the commands' keys, for a help text of one line.
const CommandHelp = ". leave, ^Z suspend, s status, arrows move the view"

// maxKeyBytes bounds a key of a [Finder]. A longer sequence is no key.
const maxKeyBytes = 256

// Finder finds the commands among the keys that a person types into a shared
// terminal: ~. and others, as in ssh, only after a newline, however the terminal
// encodes keys. It does no I/O, and what it finds does not depend on how the keys
// were cut into reads. There are no commands within pasted text, if the terminal
// marks it.
type Finder struct {
	// Char is the escape character; 0 means that there are no commands.
	Char byte
	// Anywhere finds commands not only after a newline.
	Anywhere bool
	// DropMarks drops the marks around pasted text.
	DropMarks bool
	// Reports reports Interrupt and Pasted.
	Reports bool
	// DropText drops the text that the kitty keyboard protocol adds to keys.
	DropText bool

	seq     []byte // a key that is not whole
	state   state
	held    []byte // the keys that may begin a command
	char    int    // the code of the escape character's key
	inLine  bool   // the last key was not a newline
	paste   bool   // within pasted text
	pressed bool
	down    [2]int // codes of a command's keys, whose release is not sent
	send    []byte
}

type state int

const (
	plain   state = iota
	escaped       // after the escape character
	panned        // after a pan
)

// Next reads keys until it finds a command. It returns the keys to send before the
// command, which are valid until the next call; the command; and how many bytes of p
// it read: all, if there is no command.
func (f *Finder) Next(p []byte) (send []byte, c Command, n int) {
	f.send = f.send[:0]
	for i, b := range p {
		if c := f.takeByte(b); c != None {
			return f.send, c, i + 1
		}
	}
	return f.send, None, len(p)
}

// Pasting reports whether the keys so far end within pasted text.
func (f *Finder) Pasting() bool { return f.paste }

// Withholds reports whether a sequence has begun and not ended. Then [Finder.Flush] is
// due if nothing follows within some 20 ms: a terminal sends the bytes of a key at
// once, so it was the key Escape.
func (f *Finder) Withholds() bool { return len(f.seq) > 0 }

// Flush returns what is withheld, as keys to send.
func (f *Finder) Flush() []byte {
	f.send = f.send[:0]
	f.sendBroken()
	return f.send
}

// End returns everything that is withheld, when no more keys follow.
func (f *Finder) End() []byte {
	f.Flush()
	f.sendHeld()
	return f.send
}

// Pressed reports whether a key was pressed since the last call. Releases and
// modifiers, which some terminals report, do not count.
func (f *Finder) Pressed() bool {
	pressed := f.pressed
	f.pressed = false
	return pressed
}

func (f *Finder) takeByte(b byte) Command {
	if len(f.seq) > 0 && (len(f.seq) >= maxKeyBytes || !continues(f.seq, b)) {
		f.sendBroken()
	}
	f.seq = append(f.seq, b)
	if !ended(f.seq) {
		return None
	}
	c := f.takeKey(f.seq)
	f.seq = f.seq[:0]
	return c
}

// sendBroken sends a sequence that did not end: the key Escape and characters.
func (f *Finder) sendBroken() {
	if len(f.seq) == 0 {
		return
	}
	f.sendHeld()
	f.send = append(f.send, f.seq...)
	f.seq = f.seq[:0]
	f.inLine, f.pressed = true, true
}

// takeKey handles a whole key: it completes a command, is held because it may begin
// one, or is sent.
func (f *Finder) takeKey(b []byte) Command {
	switch s := string(b); {
	case s == PasteBegin || s == PasteEnd:
		f.sendHeld()
		f.paste = s == PasteBegin
		if !f.DropMarks {
			f.send = append(f.send, b...)
		}
		return f.report(s == PasteEnd, Pasted)
	case f.paste:
		f.sendHeld()
		f.send = append(f.send, b...)
		f.inLine = s != "\r" && s != "\n"
		return None
	}
	key := parse(b)
	if key.quiet {
		f.takeQuiet(b, key)
		return None
	}
	f.pressed = true
	f.wasDown(key.code)
	if c := f.command(b, key); c != None || f.state == escaped {
		return c
	}
	f.sendHeld()
	f.send = f.appendKey(f.send, b)
	c := key.char()
	f.inLine = c != '\r' && c != '\n'
	return f.report(c == interrupt, Interrupt)
}

// report returns c if it is what the keys are, and to be reported.
func (f *Finder) report(is bool, c Command) Command {
	if is && f.Reports {
		return c
	}
	return None
}

// command returns the command that a key completes. A key that may begin one is held;
// any other is left to the caller.
func (f *Finder) command(b []byte, key key) Command {
	c := key.char()
	begins := c != 0 && c == int(f.Char)
	switch f.state {
	case escaped:
		f.state = plain
		if command := afterEscape[c]; command != None {
			return f.complete(command, plain, key)
		}
		if begins { // the escape character twice sends it once
			f.held = f.held[:0]
		}
		if c := key.pan(); c != None {
			return f.complete(c, panned, key)
		}
	case panned:
		if c := key.pan(); c != None {
			return f.complete(c, panned, key)
		}
		if begins {
			f.holdEscape(b, key)
		}
	case plain:
		if begins && (f.Anywhere || !f.inLine) {
			f.holdEscape(b, key)
		}
	}
	return None
}

// afterEscape maps characters after the escape character to commands.
var afterEscape = map[int]Command{'.': Detach, 'Z' - '@': Suspend, '?': Help, 's': Status, 'r': Ask}

// takeQuiet handles the release of a key, or a modifier. It neither begins a command
// nor ends one that has begun.
func (f *Finder) takeQuiet(b []byte, key key) {
	switch {
	case f.wasDown(key.code):
	case f.state == escaped:
		f.held = f.appendKey(f.held, b)
	case f.state == plain:
		f.send = f.appendKey(f.send, b)
	}
}

// wasDown reports whether a key of a command was down, and marks it as up.
func (f *Finder) wasDown(code int) (down bool) {
	for i := range f.down {
		if code != 0 && f.down[i] == code {
			f.down[i], down = 0, true
		}
	}
	return down
}

func (f *Finder) complete(c Command, next state, key key) Command {
	f.held = f.held[:0]
	f.state = next
	f.down = [2]int{f.char, key.code}
	return c
}

func (f *Finder) holdEscape(b []byte, key key) {
	f.held = f.appendKey(f.held[:0], b)
	f.state = escaped
	f.char = key.code
}

// sendHeld sends the keys that began no command after all.
func (f *Finder) sendHeld() {
	if len(f.held) > 0 {
		f.send = append(f.send, f.held...)
		f.held = f.held[:0]
		f.inLine = true
	}
	f.state = plain
}

// appendKey appends a key in the form in which it is sent.
func (f *Finder) appendKey(dst, b []byte) []byte {
	if f.DropText {
		return appendWithoutText(dst, b)
	}
	return append(dst, b...)
}
