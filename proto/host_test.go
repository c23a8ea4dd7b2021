package proto_test

import (
	"testing"

	"mesh/proto"
)

func TestIsLoopbackHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "127.9.8.7": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "localhost.example": false, "127.0.0.1.example": false, "[::1]": false, "127.1": false,
		"0.0.0.0": false, "::": false, "10.0.0.1": false, "fe80::1": false,
	} {
		if got := proto.IsLoopbackHost(host); got != want {
			t.Errorf("IsLoopbackHost(%q) = %v, want %v", host, got, want)
		}
	}
}
