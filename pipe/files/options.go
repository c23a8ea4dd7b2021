package files

import (
	"errors"

	"mesh/pipe/files/exclude"
)

// SendOptions are the options of [Send]. The zero value will do.
type SendOptions struct {
	// SkipSymlinks leaves out the symbolic links in a folder or an archive. Without it
	// they are sent as links, if they cannot lead out of the folder that is sent.
	SkipSymlinks bool
	// SkipSpecial leaves out links that may lead out of the folder, devices, sockets
	// and FIFOs. Without it, each of them is an error of its entry.
	SkipSpecial bool
	// Exclude leaves out what is in a folder or an archive and matches. Paths are relative
	// to that, so a name that the user gave is never left out. Excluded, if it is set, is
	// called for each such entry, with the pattern that says so. The path is safe to print.
	Exclude  *exclude.List
	Excluded func(path, why string)
	// Holes says that the receiver takes FILES_HOLE and FILES_ENTRY.holes; Links, that it
	// knows links and can be asked whether it takes them.
	Holes, Links bool
	// Archive says that the only name is that of a zip or tar archive, whose content
	// is to be sent.
	Archive bool
	// Progress, if it is set, tells how far the sender has come.
	Progress *Progress
	// Begun, if it is set, is called when the receiver has answered first: until then it
	// may ask its user.
	Begun func()
	// Report, if it is set, is called for each entry that is not sent or not stored.
	// The path is safe to print.
	Report func(path string, err error)
}

// skips reports whether an item with this error is left out silently.
func (o SendOptions) skips(err error) bool {
	return o.SkipSpecial && errors.Is(err, errSpecial) || o.SkipSymlinks && errors.Is(err, ErrSymlink)
}

// names returns the rules for names.
func (o ReceiveOptions) names() Names {
	switch {
	case o.Portable:
		return PortableNames
	case o.AnyNames:
		return AnyNames
	}
	return UsualNames
}

// ReceiveOptions are the options of [Receive]. The zero value will do.
type ReceiveOptions struct {
	// Force replaces files and links that are there. Rename stores what arrives
	// under another name. Without either, a file that is there is not overwritten:
	// what arrives is refused.
	Force, Rename bool
	// Portable refuses names that some system cannot store under exactly this name,
	// and of names that differ only in case or normalization all but the first.
	// AnyNames accepts also what may deceive a terminal or its reader.
	Portable, AnyNames bool
	// MaxBytes and MaxEntries limit what may be announced; 0 is no limit.
	MaxBytes, MaxEntries int64
	// Take says that the sender is an [Offer], which is asked for all that it offers, or
	// for Names alone, in the form of [CheckTakeNames]. A sender that sends something else
	// breaks the protocol. A name for which nothing comes is reported.
	Take  bool
	Names []string
	// As, if it is set, is the name under which one file is stored. Anything else is
	// refused.
	As string
	// Owner says whose files these are. A part of a file is resumed only for the same
	// owner, and only the owner hears that a file is there already.
	Owner string
	// Ledger notes what each owner has stored. Without one, nobody hears that a file is
	// there already.
	Ledger *Ledger
	// Minor1 says that the sender takes the reason of a refusal in words, and how many
	// bytes are stored.
	Minor1 bool
	// Progress, if it is set, tells how far the receiver has come. Counts says that the
	// sender can be asked how many bytes come in all.
	Progress *Progress
	Counts   bool
	// Report, if it is set, is called for each entry that is not sent or not stored.
	// The path is safe to print.
	Report func(path string, err error)
	// Warn, if it is set, is called once for each convenience that the file system lacks:
	// what is stored is whole all the same.
	Warn func(error)
	// Arrived, if it is set, is called for each file, link and folder that the sender
	// named, one after the other, once it is durable here: also for what was there
	// already, and also if the transfer fails later. The sender hears of the end only
	// after the last call. An error ends the transfer.
	Arrived func(Arrival) error
}
