package files

// openNonblock is nothing: names of files are no FIFOs here.
const openNonblock = 0
