package cmdline

import (
	"slices"
	"strings"
	"sync"
	"unsafe"

	"mesh/proto"
)

// TakeArgs returns a copy of argv, and overwrites the secrets in argv itself with
// asterisks where the system shows that memory to other users: a token would else be
// in /proc/PID/cmdline, and so in the output of ps, for as long as the tool runs. It
// is for os.Args, before anything else has read it.
func TakeArgs(argv []string) []string {
	shown := sync.OnceValue(argvMemory)
	args := make([]string, len(argv))
	for i, a := range argv {
		args[i] = strings.Clone(a)
		for _, at := range proto.FindSecrets(args[i]) {
			overwrite(a[at[0]:at[1]], shown())
		}
	}
	return args
}

// memory is a range of addresses, which is empty if it is not known.
type memory struct{ start, end uintptr }

// overwrite replaces a text that lies in the memory of argv, where the Go runtime
// leaves the words of os.Args. It does nothing to other texts, which may be constants.
func overwrite(text string, argv memory) {
	b := unsafe.Slice(unsafe.StringData(text), len(text))
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	if len(b) == 0 || at < argv.start || at+uintptr(len(b)) > argv.end {
		return
	}
	copy(b, slices.Repeat([]byte("*"), len(b)))
}
