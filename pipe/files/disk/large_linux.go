package disk

import "golang.org/x/sys/unix"

// largeFile lets a process of 32 bits open files of 2 GiB and more. [os.OpenFile] adds
// it, [os.Root.OpenFile] does not. With 64 bits it is 0.
const largeFile = unix.O_LARGEFILE
