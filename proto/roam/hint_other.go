//go:build !linux

package roam

import "context"

// hint returns nil: see Watch.
func hint(context.Context) <-chan struct{} { return nil }
