package proto_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"mesh/proto"
)

func TestHint(t *testing.T) {
	t.Parallel()
	base := proto.Errorf(proto.Denied, "refused")
	err := fmt.Errorf("link: %w", proto.Hint(proto.Hint(base, "ask"), "or knock"))
	if got, want := proto.Hints(err), []string{"ask", "or knock"}; !slices.Equal(got, want) {
		t.Errorf("hints: got %q, want %q", got, want)
	}
	if got, want := err.Error(), "link: refused"; got != want {
		t.Errorf("text: got %q, want %q", got, want)
	}
	if got := proto.CodeOf(err); got != proto.Denied || !errors.Is(err, base) {
		t.Errorf("code: got %v, want denied", got)
	}
	if err := proto.Hint(nil, "x"); err != nil {
		t.Errorf("of nil: got %v, want nil", err)
	}
	if got := proto.Hints(base); got != nil {
		t.Errorf("without any: got %q, want none", got)
	}
}
