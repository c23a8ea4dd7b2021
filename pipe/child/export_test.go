package child

// TerminalEnvironOf is TerminalEnviron on a system whose names fold, or not.
func TerminalEnvironOf(base, set []string, fold bool) []string {
	return environ(base, set, fold, unfitForTerminal)
}
