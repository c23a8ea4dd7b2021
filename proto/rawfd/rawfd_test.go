package rawfd_test

import (
	"errors"
	"os"
	"testing"

	"mesh/proto/rawfd"
)

func TestControl(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	called, want := 0, errors.New("from the call")
	for _, callErr := range []error{nil, want} {
		if err := rawfd.Control(w, func(uintptr) error { called++; return callErr }); !errors.Is(err, callErr) {
			t.Errorf("got %v, want %v", err, callErr)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := rawfd.Control(w, func(uintptr) error { called++; return nil }); err == nil {
		t.Errorf("closed file: got no error, want one")
	}
	if called != 2 {
		t.Errorf("called %d times, want 2: never for a closed file", called)
	}
}
