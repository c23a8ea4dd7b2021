package agent

// Names is names, for tests.
var Names = names
