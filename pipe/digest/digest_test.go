package digest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"mesh/pipe/digest"
)

// The vectors of the BLAKE3 team: input byte i is i % 251
// (github.com/BLAKE3-team/BLAKE3, test_vectors.json).
var vectors = []struct {
	size int
	hex  string
}{
	{0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
	{1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"},
	{1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11"},
	{1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"},
	{1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"},
	{2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"},
	{102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"},
}

func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i % 251)
	}
	return p
}

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors {
		data := pattern(v.size)
		if got := digest.Sum(data).String(); got != v.hex {
			t.Errorf("Sum of %d bytes: got %s, want %s", v.size, got, v.hex)
		}
		h := digest.New()
		for i := range data {
			h.Write(data[i : i+1])
		}
		if got := h.Sum().String(); got != v.hex {
			t.Errorf("%d bytes one by one: got %s, want %s", v.size, got, v.hex)
		}
	}
}

func TestCopy(t *testing.T) {
	t.Parallel()
	const block = 256 << 10
	readers := map[string]func(io.Reader) io.Reader{
		"plain":    func(r io.Reader) io.Reader { return r },
		"half":     iotest.HalfReader,
		"data err": iotest.DataErrReader,
	}
	for name, reader := range readers {
		for _, size := range []int{0, 1, block - 1, block, block + 1, 2 * block} {
			data := pattern(size)
			var out bytes.Buffer
			n, d, err := digest.Copy(&out, reader(bytes.NewReader(data)))
			if err != nil || n != int64(size) || d != digest.Sum(data) || !bytes.Equal(out.Bytes(), data) {
				t.Errorf("%s, %d bytes: got %d, %s, %v; want all of it, %s", name, size, n, d, err, digest.Sum(data))
			}
		}
	}
}

func TestCopyErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	var we *digest.WriteError

	n, d, err := digest.Copy(nil, io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)))
	if n != 3 || d != digest.Sum([]byte("abc")) || !errors.Is(err, broken) || errors.As(err, &we) {
		t.Errorf("broken reader: got %d, %s, %v", n, d, err)
	}
	_, _, err = digest.Copy(writer(func([]byte) (int, error) { return 0, broken }), strings.NewReader("abc"))
	if !errors.Is(err, broken) || !errors.As(err, &we) {
		t.Errorf("broken writer: got %v, want a WriteError", err)
	}
	n, d, err = digest.Copy(writer(func(p []byte) (int, error) { return 1, nil }), strings.NewReader("abc"))
	if n != 1 || d != digest.Sum([]byte("a")) || !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("short writer: got %d, %s, %v, want a short write", n, d, err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestHasherGoesOn(t *testing.T) {
	t.Parallel()
	h := digest.New()
	h.Write([]byte("ab"))
	if got, want := h.Sum(), digest.Sum([]byte("ab")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	h.Write([]byte("c"))
	if got, want := h.Sum(), digest.Sum([]byte("abc")); got != want {
		t.Errorf("after more data: got %s, want %s", got, want)
	}
	h.Reset()
	if got, want := h.Sum(), digest.Sum(nil); got != want {
		t.Errorf("after Reset: got %s, want %s", got, want)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	d := digest.Sum([]byte("x"))
	if got, err := digest.Parse(d.String()); err != nil || got != d {
		t.Errorf("round trip: got %s, %v, want %s", got, err, d)
	}
	text := d.String()
	for _, bad := range []string{"", text[1:], text + "0", strings.ToUpper(text), " " + text[1:], text[:63] + "g"} {
		if got, err := digest.Parse(bad); err == nil {
			t.Errorf("Parse(%q) = %s, want an error", bad, got)
		}
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	d := digest.Sum([]byte("x"))
	b, err := json.Marshal(d)
	if want := `"` + d.String() + `"`; err != nil || string(b) != want {
		t.Fatalf("got %s, %v, want %s", b, err, want)
	}
	var back digest.Digest
	if err := json.Unmarshal(b, &back); err != nil || back != d {
		t.Errorf("got %s, %v, want %s", back, err, d)
	}
	if err := json.Unmarshal([]byte(`"00"`), &back); err == nil || back != d {
		t.Errorf("bad text: got %s, %v, want an error and no change", back, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(digest.Sum(nil).String())
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := digest.Parse(s); err == nil && d.String() != s {
			t.Errorf("Parse(%q) accepted a second encoding of %s", s, d)
		}
	})
}

func BenchmarkCopy(b *testing.B) {
	data := pattern(64 << 20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, _, err := digest.Copy(nil, bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
}
