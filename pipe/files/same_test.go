package files_test

import (
	"path/filepath"
	"testing"

	"mesh/pipe/digest"
	"mesh/pipe/files"
	"mesh/proto"
)

func TestSame(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, there, sent string
		want              proto.Code
	}{
		{"nothing", "", "", 0},
		{"the same", "abcdef", "abcdef", 0},
		{"more in it", "abcdefg", "abcdef", proto.Unsafe},
		{"less in it", "abcde", "abcdef", proto.Unsafe},
		{"nothing in it", "", "a", proto.Unsafe},
		{"another", "abcdef", "abcdEf", proto.Unsafe},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(t.TempDir(), "f")
			write(t, name, []byte(tt.there))
			s, err := files.OpenSame(name)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			sum := digest.New()
			_, _ = sum.Write([]byte(tt.sent))
			err = s.Finish(int64(len(tt.sent)), sum.Sum())
			if got := proto.CodeOf(err); got != tt.want {
				t.Errorf("got %v (%v), want %v", got, err, tt.want)
			}
			if got := read(t, name); got != tt.there {
				t.Errorf("it holds %q now, want %q", got, tt.there)
			}
		})
	}
	if _, err := files.OpenSame(t.TempDir()); proto.CodeOf(err) != proto.Unsafe {
		t.Errorf("a folder: got %v, want %v", err, proto.Unsafe)
	}
}
