package files_test

import (
	"path/filepath"
	"testing"

	"mesh/pipe/files"
	"mesh/proto"
)

func TestSame(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, there string
		writes      []string
		want        proto.Code
	}{
		{"nothing", "", nil, 0},
		{"the same", "abcdef", []string{"ab", "", "cdef"}, 0},
		{"more in it", "abcdefg", []string{"abcdef"}, proto.Unsafe},
		{"less in it", "abcde", []string{"abcdef"}, proto.Unsafe},
		{"less in it, at a block", "abc", []string{"abc", "d"}, proto.Unsafe},
		{"another", "abcdef", []string{"abc", "dEf"}, proto.Unsafe},
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
			for _, w := range tt.writes {
				if err == nil {
					_, err = s.Write([]byte(w))
				}
			}
			if err == nil {
				err = s.Finish()
			}
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
