//go:build conpty

package pty

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"unicode/utf16"
	"unsafe"

	"golang.org/x/sys/windows"

	"mesh/pipe/child"
	"mesh/proto"
)

// Supported reports whether Start can succeed on this system.
const Supported = true

// Process is a command on a terminal of its own: a pseudo console of Windows 10 1809
// or later. One goroutine may read while others write.
type Process struct {
	input, output *os.File // of the console
	command       windows.Handle
	pid           int
	ended         chan struct{} // closed by wait
	exit          Exit          // valid once ended is closed
	closed        chan struct{} // closed by wait, after it has closed the console

	mu           sync.Mutex
	console, job windows.Handle // 0 once closed
}

// Start runs the command on a new console, in a job that ends all processes that the
// command has started when the command ends. The caller closes the process.
func Start(o Options) (*Process, error) {
	p := &Process{ended: make(chan struct{}), closed: make(chan struct{})}
	if err := p.open(o.Cols, o.Rows); err != nil {
		return nil, proto.IOError(fmt.Errorf("open a terminal: %w", err))
	}
	if err := p.run(o.Command, o.Env); err != nil {
		p.output.Close() // first: closing the console may wait until its output is read
		p.closeConsole()
		p.closeJob()
		p.input.Close()
		return nil, proto.IOError(fmt.Errorf("run %q: %w", o.Command[0], err))
	}
	go p.wait()
	return p, nil
}

// open makes the console, with its size in place from the start, and its pipes.
func (p *Process) open(cols, rows int) (err error) {
	read, input, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	output, write, err := os.Pipe()
	if err != nil {
		input.Close()
		return err
	}
	defer write.Close()
	err = windows.CreatePseudoConsole(coord(cols, rows), windows.Handle(read.Fd()), windows.Handle(write.Fd()), 0, &p.console)
	if err != nil {
		input.Close()
		output.Close()
		return err
	}
	p.input, p.output = input, output
	return nil
}

func coord(cols, rows int) windows.Coord { return windows.Coord{X: int16(cols), Y: int16(rows)} }

// run starts the command on the console.
func (p *Process) run(command, env []string) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		if e, ok := errors.AsType[*exec.Error](err); ok {
			return e.Err
		}
		return err
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	line, err := windows.UTF16PtrFromString(windows.ComposeCommandLine(command))
	if err != nil {
		return err
	}
	if p.job, err = newJob(); err != nil {
		return err
	}
	attributes, err := windows.NewProcThreadAttributeList(1)
	if err != nil {
		return err
	}
	defer attributes.Delete()
	// The value of this attribute is the console's handle itself.
	console := *(*unsafe.Pointer)(unsafe.Pointer(&p.console))
	err = attributes.Update(windows.PROC_THREAD_ATTRIBUTE_PSEUDOCONSOLE, console, unsafe.Sizeof(p.console))
	if err != nil {
		return err
	}
	start := &windows.StartupInfoEx{ProcThreadAttributeList: attributes.List()}
	start.Cb = uint32(unsafe.Sizeof(*start))
	start.Flags = windows.STARTF_USESTDHANDLES // none are given, or the command would use ours instead of the console
	var info windows.ProcessInformation
	const flags = windows.EXTENDED_STARTUPINFO_PRESENT | windows.CREATE_UNICODE_ENVIRONMENT | windows.CREATE_SUSPENDED
	if err := windows.CreateProcess(name, line, nil, nil, false, flags, environmentBlock(env), nil, &start.StartupInfo, &info); err != nil {
		return err
	}
	defer windows.CloseHandle(info.Thread)
	p.command, p.pid = info.Process, int(info.ProcessId)
	err = windows.AssignProcessToJobObject(p.job, info.Process)
	if err == nil {
		_, err = windows.ResumeThread(info.Thread)
	}
	if err != nil {
		return errors.Join(err, windows.TerminateProcess(info.Process, 1), windows.CloseHandle(info.Process))
	}
	return nil
}

// newJob makes a job whose processes end when its handle is closed.
func newJob() (windows.Handle, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0, err
	}
	var limits windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err != nil {
		return 0, errors.Join(err, windows.CloseHandle(job))
	}
	return job, nil
}

// environmentBlock returns an environment in the form of CreateProcess: NAME=value
// strings, each with a zero behind it, and another zero at the end.
func environmentBlock(env []string) *uint16 {
	var b []uint16
	for _, v := range slices.DeleteFunc(slices.Clone(env), func(v string) bool { return slices.Contains([]byte(v), 0) }) {
		b = append(append(b, utf16.Encode([]rune(v))...), 0)
	}
	if len(b) == 0 {
		b = append(b, 0)
	}
	return &append(b, 0)[0]
}

func (p *Process) wait() {
	_, _ = windows.WaitForSingleObject(p.command, windows.INFINITE)
	var code uint32
	_ = windows.GetExitCodeProcess(p.command, &code)
	p.exit.Code = child.WindowsCode(code)
	close(p.ended)
	p.closeConsole() // flushes the output, then ends it
	p.closeJob()
	_ = windows.CloseHandle(p.command)
	close(p.closed)
}

// closeConsole ends the processes that are still on the console. Before Windows 11 24H2
// it blocks until the output has been read.
func (p *Process) closeConsole() {
	p.mu.Lock()
	console := p.console
	p.console = 0
	p.mu.Unlock()
	if console != 0 {
		windows.ClosePseudoConsole(console)
	}
}

func (p *Process) closeJob() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = windows.CloseHandle(p.job)
	p.job = 0
}

// Read reads the output of the command and of the processes that it has started, as
// the console draws it. It returns [io.EOF] when the command has ended.
func (p *Process) Read(b []byte) (int, error) {
	n, err := p.output.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		if !errors.Is(err, os.ErrClosed) && !errors.Is(err, windows.ERROR_BROKEN_PIPE) {
			return n, proto.IOError(err)
		}
		err = io.EOF
	}
	return n, err
}

// Write types b. It blocks while the console does not accept it.
func (p *Process) Write(b []byte) (int, error) { return p.input.Write(b) }

// Hides reports true: Windows does not report whether a command reads a password.
func (p *Process) Hides() bool { return true }

// Flow returns none.
func (p *Process) Flow() Flow { return Flow{} }

// Foreground returns 0: Windows has no process groups of a terminal.
func (p *Process) Foreground() int { return 0 }

// HasJob reports false.
func (p *Process) HasJob(int) bool { return false }

// Resize changes the console's size, and the command is notified.
func (p *Process) Resize(cols, rows int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.console == 0 {
		return os.ErrClosed
	}
	return windows.ResizePseudoConsole(p.console, coord(cols, rows))
}

// Ended is closed when the command has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait returns how the command ended. It blocks until it has.
func (p *Process) Wait() Exit {
	<-p.ended
	return p.exit
}

// Pid returns the command's process id.
func (p *Process) Pid() int { return p.pid }

// Close ends the command and the processes that it has started, and closes the
// console. It blocks until that is done.
func (p *Process) Close() {
	p.mu.Lock()
	if p.job != 0 {
		_ = windows.TerminateJobObject(p.job, 1)
	}
	p.mu.Unlock()
	_ = p.output.Close()
	<-p.closed
	_ = p.input.Close()
}
