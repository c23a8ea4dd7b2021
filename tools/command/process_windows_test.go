package command_test

import (
	"testing"

	"mesh/tools/command"
)

// A status above 255 never becomes 0. The status of Ctrl-C is 130.
func TestStatusBeyondByte(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]int{"0": 0, "1": 1, "255": 255, "256": 255, "-1073741824": 255, "-1073741510": 130} {
		got, err := command.Run(t.Context(), []string{"cmd", "/c", "exit", arg}, command.Options{})
		if err != nil || got != want {
			t.Errorf("exit %s: got %d, %v, want %d", arg, got, err, want)
		}
	}
}
