package proto

import (
	"errors"
	"fmt"
	"syscall"
)

// Code says how a tool, a link or a transfer ended. It is the exit status of
// the tools and, added to [CodeBase], the application error code on the wire.
// The tens digit tells a script what to do.
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

// CodeInfo is one line of the exit table.
type CodeInfo struct {
	Code    Code
	Name    string
	Meaning string
}

// Codes is the exit table: the only list of codes, names and meanings. The
// help, the man pages and the tests are made from it.
var Codes = []CodeInfo{
	{OK, "ok", "complete, verified, stored (receiver), acknowledged (sender)"},
	{Failed, "error", "anything unclassified; seeing it is a bug"},
	{Usage, "usage", "wrong flags, or a token that can't be read"},
	{Unreachable, "unreachable", "no answer, no route, no such host"},
	{Timeout, "timeout", "was connected; idle, resume or deadline ran out"},
	{Truncated, "truncated", "the stream ended before its end was announced"},
	{Busy, "busy", "a limit at the peer"},
	{Denied, "denied", "the peer refused our token"},
	{Identity, "identity", "the peer's key or proof is not the expected one"},
	{Capability, "capability", "known to the peer, but not allowed to do this"},
	{Declined, "declined", "a person or a local rule said no"},
	{Integrity, "integrity", "digest mismatch"},
	{Protocol, "protocol", "malformed, oversized or out of order"},
	{Version, "version", "no common protocol version"},
	{Producer, "producer", "the sending command failed; its data is not to be trusted"},
	{IO, "io", "read or write failed here"},
	{Space, "space", "disk full or size limit"},
	{Unsafe, "unsafe", "a name or a target that may not be written"},
	{Config, "config", "bad settings, bad key permissions"},
	{Changed, "changed", "the source changed while it was sent"},
	{Internal, "internal", "a bug was caught"},
	{Interrupted, "interrupt", "ended by SIGINT; 128+n for signal n"},
	{BrokenStdout, "pipe", "the reader of standard output went away"},
	{Terminated, "terminate", "ended by SIGTERM"},
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

// Wire returns the application error code that tells the peer of c. A signal
// is a local matter: to the peer the stream is truncated.
func (c Code) Wire() uint64 {
	if c >= 128 {
		c = Truncated
	}
	return CodeBase + uint64(c)
}

// CodeFromWire is the inverse of [Code.Wire]. A number that no tool of ours
// sends is [Protocol].
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

// Error is an error with the code that it ends with.
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
