//go:build unix && !linux

package child

// noCore is the limit for core dumps without any.
const noCore = 0
