//go:build !linux

package main

import "errors"

func flush() error { return errors.ErrUnsupported }
