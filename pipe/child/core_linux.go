package child

// noCore is 1: for that the kernel neither writes a core dump to a file, which has to
// hold a page at least, nor starts the program that core_pattern names. It would start
// that for 0.
const noCore = 1
