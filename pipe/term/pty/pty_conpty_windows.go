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

// Supported says whether there are terminals here.
const Supported = true

// Process is a command on a terminal of its own: a pseudo console, which Windows
// has since 10 1809. One goroutine may read while others write.
type Process struct {
	input, output *os.File // of the console
	command       windows.Handle
	pid           int
	ended         chan struct{} // closed by wait
	exit          Exit          // valid then
	closed        chan struct{} // closed by wait, when it has closed the console

	mu           sync.Mutex
	console, job windows.Handle // 0 when they are closed
}

// Start runs the command on a new console, and in a job, which takes all that the
// command starts along when it ends. Close it in the end.
func Start(o Options) (*Process, error) {
	p := &Process{ended: make(chan struct{}), closed: make(chan struct{})}
	if err := p.open(o.Cols, o.Rows); err != nil {
		return nil, proto.IOError(fmt.Errorf("open a terminal: %w", err))
	}
	if err := p.run(o.Command, o.Env); err != nil {
		p.output.Close() // first, since closing the console may wait for who reads it
		p.closeConsole()
		p.closeJob()
		p.input.Close()
		return nil, proto.IOError(fmt.Errorf("run %q: %w", o.Command[0], err))
	}
	go p.wait()
	return p, nil
}

// open makes the console, with its size before anybody looks, and the pipes that
// it reads and writes.
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
	start.Flags = windows.STARTF_USESTDHANDLES // none, so that ours are not taken in the console's place
	var info windows.ProcessInformation
	const flags = windows.EXTENDED_STARTUPINFO_PRESENT | windows.CREATE_UNICODE_ENVIRONMENT | windows.CREATE_SUSPENDED
	if err := windows.CreateProcess(name, line, nil, nil, false, flags, block(env), nil, &start.StartupInfo, &info); err != nil {
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

// block makes an environment as CreateProcess wants it: NAME=value, each ended by
// a zero, and another one at the end.
func block(env []string) *uint16 {
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
	p.closeConsole() // which writes what is left, and then its end
	p.closeJob()
	_ = windows.CloseHandle(p.command)
	close(p.closed)
}

// closeConsole ends what is still on the console. Before Windows 11 24H2 it blocks
// until somebody has read the output.
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

// Read reads what the command and all that it has started have printed, as the
// console draws it. [io.EOF] comes when the command has ended.
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

// Write types b. It blocks while the console does not take it.
func (p *Process) Write(b []byte) (int, error) { return p.input.Write(b) }

// Hides reports true: whether a command reads a password is not told here.
func (p *Process) Hides() bool { return true }

// Resize tells the command that its terminal has another size.
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

// Pid is the command's process id.
func (p *Process) Pid() int { return p.pid }

// Close ends the command with all that it has started, and takes the terminal
// away. It blocks until that is done.
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
