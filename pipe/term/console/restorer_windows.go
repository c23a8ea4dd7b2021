package console

import "os"

// restorer does not exist on Windows: after a killed process, the console's mode
// stays as it is.
type restorer struct{}

func startRestorer(*os.File, string) *restorer { return nil }

func (*restorer) send([]byte) {}

func (*restorer) close() {}

func ignoreSignals() {}
