package proto

import (
	"errors"
	"fmt"
	"syscall"
)

// Code says how a tool, a link or a transfer ended. It is the exit status of the
// tools and, added to [CodeBase], the application error code on the wire. The tens
// digit tells a script what to do.
type Code int

// The exit codes. [Codes] has their names and meanings.
const (
	OK           Code = 0
	Failed       Code = 1
	Usage        Code = 2
	Unreachable  Code = 10
	Timeout      Code = 11
	Truncated    Code = 12
	Busy         Code = 13
	Denied       Code = 20
	Identity     Code = 21
	Capability   Code = 22
	Declined     Code = 23
	Integrity    Code = 30
	Protocol     Code = 31
	Version      Code = 32
	Producer     Code = 33
	Consumer     Code = 34
	IO           Code = 40
	Space        Code = 41
	Unsafe       Code = 42
	Config       Code = 43
	Changed      Code = 44
	Internal     Code = 70
	Interrupted  Code = 130 // SIGINT
	BrokenStdout Code = 141 // SIGPIPE
	Terminated   Code = 143 // SIGTERM
)

// CodeInfo is one line of the exit table. Meaning is for the local tool. Peer is
// the meaning when the peer ended with the code, "" for a code that no peer sends.
type CodeInfo struct {
	Code    Code
	Name    string
	Meaning string
	Peer    string
}

// Codes is the exit table: the only list of codes, names and meanings. The help is
// made from it, and tests compare the man pages with it.
var Codes = []CodeInfo{
	{OK, "ok", "complete, verified, stored (receiver), acknowledged (sender)", ""},
	{Failed, "error", "anything unclassified; seeing it is a bug", "something failed there"},
	{Usage, "usage", "wrong flags, or a token that can't be read", "it was called with wrong arguments"},
	{Unreachable, "unreachable", "no answer, no route, no such host", "it can't reach what it needs"},
	{Timeout, "timeout", "was connected; idle, resume or deadline ran out; or something is overdue", "its time ran out"},
	{Truncated, "truncated", "the stream ended before its end was announced", "it was stopped, or what reads or writes its data went away"},
	{Busy, "busy", "a limit at the peer, the hub or a relay; or the job runs already here", "it has no free place now"},
	{Denied, "denied", "the peer refused our token", "it refuses our token"},
	{Identity, "identity", "the peer's key or proof is not the expected one", "our key or proof is not the one that it expects"},
	{Capability, "capability", "known to the peer, but not allowed to do this", "it does not allow us this"},
	{Declined, "declined", "a person or a local rule said no", "a person or a rule there said no"},
	{Integrity, "integrity", "digest mismatch", "its digest is a different one"},
	{Protocol, "protocol", "malformed, oversized or out of order", "it can't make sense of what it was sent"},
	{Version, "version", "no common protocol version", "it speaks no version that we do"},
	{Producer, "producer", "the sending command failed; its data is not to be trusted", "the sending command failed"},
	{Consumer, "consumer", "the command that took the data failed; the data itself arrived whole", "the command that took the data failed"},
	{IO, "io", "read or write failed here", "it could not read or write"},
	{Space, "space", "disk full or size limit", "its disk is full, or this is more than it takes"},
	{Unsafe, "unsafe", "a name or a target that may not be written", "a name or a target may not be written there"},
	{Config, "config", "bad settings, bad key permissions", "its settings or the permissions of its key are wrong"},
	{Changed, "changed", "the source changed while it was sent", "what it read changed while it was sent"},
	{Internal, "internal", "a bug was caught", "a bug was caught there"},
	{Interrupted, "interrupt", "ended by SIGINT; 128+n for signal n", ""},
	{BrokenStdout, "pipe", "the reader of standard output went away", ""},
	{Terminated, "terminate", "ended by SIGTERM", ""},
}

// String returns the code's name in [Codes], or its number.
func (c Code) String() string {
	for _, i := range Codes {
		if i.Code == c {
			return i.Name
		}
	}
	return fmt.Sprintf("code %d", int(c))
}

// OfPeer returns what c means when it comes from the peer, for the link or for one
// file.
func (c Code) OfPeer() string {
	for _, i := range Codes {
		if i.Code == c && i.Peer != "" {
			return i.Peer
		}
	}
	return c.String()
}

// Wire returns the application error code that reports c to the peer. A signal is a
// local matter: for the peer the stream is truncated.
func (c Code) Wire() uint64 {
	if c >= 128 {
		c = Truncated
	}
	return CodeBase + uint64(c)
}

// CodeFromWire is the inverse of [Code.Wire]. It returns [Protocol] for a number
// that no code has.
func CodeFromWire(n uint64) Code {
	if n >= CodeBase && n < CodeBase+128 {
		c := Code(n - CodeBase)
		for _, i := range Codes {
			if i.Code == c {
				return c
			}
		}
	}
	return Protocol
}

// Error is an error with the exit code that it results in.
type Error struct {
	Code Code
	Err  error
}

// Errorf returns an [Error] with the given code and a message formatted as by
// [fmt.Errorf].
func Errorf(c Code, format string, args ...any) error {
	return &Error{Code: c, Err: fmt.Errorf(format, args...)}
}

// Error returns the message.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the outermost [Error] in err's chain; [OK] for
// nil, and [Failed] for an error without a code.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Failed
}

// IOError gives a failed read or write its code: [Space] for a full disk or a
// size limit, else [IO]. An error that has a code keeps it.
func IOError(err error) error {
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	c := IO
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		c = Space
	}
	return &Error{Code: c, Err: err}
}
