package view

import "fmt"

// copy has a clipboard of the viewer's terminal set, and says so. Only the newest text
// waits for a terminal that is slow.
func (d *display) copy(selections, text string) {
	d.copied = d.o.Copy(selections, text)
	d.showNotice(fmt.Sprintf("the shared terminal has set the clipboard (%d bytes)", len(text)))
}
