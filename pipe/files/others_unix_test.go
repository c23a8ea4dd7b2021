//go:build !windows

package files_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mesh/pipe/files"
	"mesh/proto"
	"mesh/proto/wire"
)

// What a peer has not stored itself: a small file, a large one, and a link. Each has a
// right guess, and a wrong one of the same length.
var (
	othersZeros = strings.Repeat("\x00", 1<<20)
	othersLarge = strings.Repeat("1234", proto.SmallFileBytes/4+1)
	othersFiles = []struct{ name, right, wrong string }{
		{"small", "1234", "4321"},
		{"large", othersLarge, "4321" + othersLarge[4:]},
		{"sparse", othersZeros + "1", othersZeros + "2"},
	}
)

// ask announces one entry of mallory's, and returns what the receiver answers before it
// has any data.
func ask(t *testing.T, to string, o files.ReceiveOptions, e *wire.Entry) *wire.Answer {
	t.Helper()
	o.Owner = "mallory"
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	from, announce := io.Pipe()
	answers, back := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := files.Receive(ctx, openRoot(t, to), from, back, o)
		back.CloseWithError(err)
	}()
	go announce.Write(frame(e))
	var a wire.Answer
	_, body, err := wire.ReadFrame(answers, wire.TypeAnswer)
	if err == nil {
		err = wire.ParseBody(body, &a)
	}
	if err != nil {
		t.Error(err)
	}
	announce.Close()
	answers.Close()
	<-done
	return &a
}

// announcement is what announces a file, with the digest of a small one.
func announcement(name, holds string) *wire.Entry {
	e := &wire.Entry{ID: 1, Path: name, Kind: wire.EntryFile, Size: int64(len(holds)), Mode: 0o644}
	if e.Small() {
		e.Digest = sum(holds)
	}
	return e
}

// Before a peer has sent all of a file that it has not stored, it gets the same answer to
// a right guess and to a wrong one, and no digest. So it is for what the owner of the
// receiver has put there, for what another peer has stored, and for what the peer itself
// has stored and somebody has changed.
func TestOthersFilesStaySecret(t *testing.T) {
	t.Parallel()
	for _, f := range othersFiles {
		for name, put := range map[string]func(t *testing.T, to, ledger string){
			"put there": func(t *testing.T, to, _ string) { write(t, filepath.Join(to, f.name), []byte(f.right)) },
			"of another peer": func(t *testing.T, to, ledger string) {
				store(t, to, ledger, "alice", f.name, f.right)
			},
			"changed": func(t *testing.T, to, ledger string) {
				store(t, to, ledger, "mallory", f.name, f.wrong)
				write(t, filepath.Join(to, f.name), []byte(f.right))
			},
			"changed, with its time": func(t *testing.T, to, ledger string) {
				store(t, to, ledger, "mallory", f.name, f.wrong)
				info, err := os.Stat(filepath.Join(to, f.name))
				if err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(to, f.name), []byte(f.right))
				if err := os.Chtimes(filepath.Join(to, f.name), info.ModTime(), info.ModTime()); err != nil {
					t.Fatal(err)
				}
			},
			"put in its place": func(t *testing.T, to, ledger string) {
				store(t, to, ledger, "mallory", f.name, f.right)
				write(t, filepath.Join(to, "new"), []byte(f.right))
				if err := os.Rename(filepath.Join(to, "new"), filepath.Join(to, f.name)); err != nil {
					t.Fatal(err)
				}
			},
			"moved there": func(t *testing.T, to, ledger string) {
				store(t, to, ledger, "mallory", "x"+f.name, f.right)
				if err := os.Rename(filepath.Join(to, "x"+f.name), filepath.Join(to, f.name)); err != nil {
					t.Fatal(err)
				}
			},
		} {
			for mode, o := range map[string]files.ReceiveOptions{"": {}, "force": {Force: true}, "rename": {Rename: true}} {
				t.Run(f.name+" "+name+" "+mode, func(t *testing.T) {
					t.Parallel()
					to, ledger := t.TempDir(), t.TempDir()
					o.Ledger = files.NewLedger(ledger)
					put(t, to, ledger)
					right, wrong := ask(t, to, o, announcement(f.name, f.right)), ask(t, to, o, announcement(f.name, f.wrong))
					if *right != *wrong || right.Skip || right.Have > 0 || right.Digest != nil {
						t.Errorf("got %+v for the same and %+v for another, want neither to be told", right, wrong)
					}
				})
			}
		}
	}
}

// store lets an owner store a file, which has arrived before the test goes on.
func store(t *testing.T, to, ledger, owner, name, holds string) files.Summary {
	t.Helper()
	from := filepath.Join(t.TempDir(), name)
	write(t, from, []byte(holds))
	r := run{recv: files.ReceiveOptions{Owner: owner, Ledger: files.NewLedger(ledger)}}
	r.transfer(t, to, from)
	r.wantCodes(t, proto.OK, proto.OK)
	return r.received
}

// A peer that sends all of a file that is there already hears that it is stored, and
// nothing is written. Its one wrong guess closes the file to it, to other peers,
// and in other runs of the receiver; not to the peer that has stored the file.
func TestOneGuess(t *testing.T) {
	t.Parallel()
	for _, f := range othersFiles {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			to, ledger, dir := t.TempDir(), t.TempDir(), t.TempDir()
			store(t, to, ledger, "alice", f.name, f.right)
			there, err := os.Stat(filepath.Join(to, f.name))
			if err != nil {
				t.Fatal(err)
			}
			for i, step := range []struct {
				owner, holds string
				want         proto.Code
				stored       files.Summary
			}{
				{"bob", f.right, proto.OK, files.Summary{Files: 1, Bytes: int64(len(f.right))}},
				{"bob", f.right, proto.OK, files.Summary{Skipped: 1}},
				{"alice", f.right, proto.OK, files.Summary{Skipped: 1}},
				{"mallory", f.wrong, proto.Unsafe, files.Summary{Refused: 1}},
				{"mallory", f.right, proto.Unsafe, files.Summary{Refused: 1}},
				{"carol", f.right, proto.Unsafe, files.Summary{Refused: 1}},
				{"alice", f.wrong, proto.Unsafe, files.Summary{Refused: 1}},
				{"alice", f.right, proto.OK, files.Summary{Skipped: 1}},
				{"bob", f.right, proto.OK, files.Summary{Skipped: 1}},
			} {
				from := filepath.Join(dir, fmt.Sprint(i), f.name)
				write(t, from, []byte(step.holds))
				r := run{recv: files.ReceiveOptions{Owner: step.owner, Ledger: files.NewLedger(ledger)}}
				r.transfer(t, to, from)
				if got := proto.CodeOf(r.recvErr); got != step.want || r.received != step.stored {
					t.Errorf("step %d, %s: got %v and %+v, want %v and %+v", i, step.owner, got, r.received, step.want, step.stored)
				}
				if r.sent.Files != step.stored.Files || r.sent.Skipped != step.stored.Skipped {
					t.Errorf("step %d, %s: the sender got %+v, want %+v", i, step.owner, r.sent, step.stored)
				}
			}
			if now, err := os.Stat(filepath.Join(to, f.name)); err != nil || !os.SameFile(now, there) || read(t, filepath.Join(to, f.name)) != f.right {
				t.Errorf("the file that was there is another one now: %v", err)
			}
		})
	}
}

// What the peer has stored and somebody has changed since is compared, not believed to be
// there: also if size, time and place on the disk are as they were.
func TestChangedByHand(t *testing.T) {
	t.Parallel()
	for _, f := range othersFiles {
		for _, keepsTime := range []bool{false, true} {
			for mode, o := range map[string]files.ReceiveOptions{"": {}, "force": {Force: true}, "rename": {Rename: true}} {
				t.Run(fmt.Sprintf("%s, keeps time: %t %s", f.name, keepsTime, mode), func(t *testing.T) {
					t.Parallel()
					to, ledger := t.TempDir(), t.TempDir()
					store(t, to, ledger, "alice", f.name, f.right)
					name := filepath.Join(to, f.name)
					info, err := os.Stat(name)
					if err != nil {
						t.Fatal(err)
					}
					write(t, name, []byte(f.wrong))
					if keepsTime {
						if err := os.Chtimes(name, info.ModTime(), info.ModTime()); err != nil {
							t.Fatal(err)
						}
					}
					from := filepath.Join(t.TempDir(), f.name)
					write(t, from, []byte(f.right))
					o.Owner, o.Ledger = "alice", files.NewLedger(ledger)
					r := run{recv: o}
					r.transfer(t, to, from)
					code, want, there := proto.OK, files.Summary{Files: 1, Bytes: int64(len(f.wrong))}, map[string]string{f.name: f.wrong}
					switch mode {
					case "":
						code, want = proto.Unsafe, files.Summary{Refused: 1}
					case "force":
						there[f.name] = f.right
					case "rename":
						there[f.name+" (2)"] = f.right
					}
					r.wantCodes(t, code, code)
					if r.received != want {
						t.Errorf("got %+v, want %+v", r.received, want)
					}
					if got := names(t, to); len(got) != len(there) {
						t.Errorf("got %q, want %d names", got, len(there))
					}
					for name, want := range there {
						if read(t, filepath.Join(to, name)) != want {
							t.Errorf("%s does not hold what it should", name)
						}
					}
				})
			}
		}
	}
}

// With --force or --rename a guess tells nothing, so there may be any number. The same
// content is kept as it is.
func TestGuessesThatTellNothing(t *testing.T) {
	t.Parallel()
	for _, f := range othersFiles {
		for mode, o := range map[string]files.ReceiveOptions{"force": {Force: true}, "rename": {Rename: true}} {
			t.Run(f.name+" "+mode, func(t *testing.T) {
				t.Parallel()
				to, dir := t.TempDir(), t.TempDir()
				name := filepath.Join(to, f.name)
				write(t, name, []byte(f.right))
				before, err := os.Stat(name)
				if err != nil {
					t.Fatal(err)
				}
				o.Owner, o.Ledger = "mallory", files.NewLedger(t.TempDir())
				var told []files.Summary
				for i, holds := range []string{f.right, f.wrong} {
					from := filepath.Join(dir, fmt.Sprint(i), f.name)
					write(t, from, []byte(holds))
					r := run{recv: o}
					r.transfer(t, to, from)
					r.wantCodes(t, proto.OK, proto.OK)
					told = append(told, r.sent)
					if after, err := os.Stat(name); err != nil || i == 0 && !os.SameFile(before, after) {
						t.Errorf("the same content was written again (%v)", err)
					}
				}
				if told[0] != told[1] || told[0].Files != 1 {
					t.Errorf("the sender got %+v for the same content and %+v for another", told[0], told[1])
				}
				if entries, _ := os.ReadDir(to); len(entries) != map[bool]int{true: 1, false: 2}[o.Force] {
					t.Errorf("got %v", entries)
				}
			})
		}
	}
}

// The target of a link is as secret as what a file holds.
func TestOthersLinks(t *testing.T) {
	t.Parallel()
	to, ledger := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(to, "d"), 0o755); err != nil { // else the first answer says that it is new
		t.Fatal(err)
	}
	link := func(owner, target string) (files.Summary, []byte) {
		var back bytes.Buffer
		frames := join(folder(1, "d"), frame(&wire.Entry{ID: 2, Path: "d/l", Kind: wire.EntrySymlink, Target: target}), frame(&wire.Total{Entries: 2}))
		got, _ := files.Receive(t.Context(), openRoot(t, to), bytes.NewReader(frames), &back, files.ReceiveOptions{Owner: owner, Ledger: files.NewLedger(ledger)})
		return got, back.Bytes()
	}
	free, told := link("alice", "right")
	if free.Files != 1 {
		t.Fatalf("got %+v", free)
	}
	if got, bob := link("bob", "right"); got.Files != 1 || !bytes.Equal(bob, told) {
		t.Errorf("bob's: got %+v and %q, want what alice got: %q", got, bob, told)
	}
	for i, step := range []struct {
		owner, target string
		want          files.Summary
	}{
		{"alice", "right", files.Summary{Skipped: 1}},
		{"mallory", "wrong", files.Summary{Refused: 1}},
		{"mallory", "right", files.Summary{Refused: 1}},
		{"carol", "right", files.Summary{Refused: 1}},
		{"bob", "right", files.Summary{Skipped: 1}},
	} {
		if got, _ := link(step.owner, step.target); got != step.want {
			t.Errorf("step %d, %s: got %+v, want %+v", i, step.owner, got, step.want)
		}
	}
}
