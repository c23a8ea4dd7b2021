package agent

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/proto/statefile"
)

// VouchersFile in the state folder has the vouchers about this node, one a line. "#" begins
// a comment.
const VouchersFile = "vouchers"

// maxVoucherFileBytes bounds [VouchersFile] and [IssuersFile].
const maxVoucherFileBytes = 64 << 10

// Vouchers are the vouchers about a node in a state folder.
type Vouchers struct{ Dir string }

// List returns the vouchers in the order of the file. A file that does not exist has none.
func (k Vouchers) List() (list []hub.Voucher, err error) {
	err = eachLine(filepath.Join(k.Dir, VouchersFile), func(words []string) error {
		if len(words) != 1 {
			return errors.New("want one voucher")
		}
		v, err := hub.ParseVoucher(words[0])
		list = append(list, v)
		return err
	})
	return list, err
}

// Shown returns the texts to show at a hub: the newest [hub.MaxVouchers] of the node that
// hold there now.
func (k Vouchers) Shown(node, at identity.ID, now time.Time) (texts []string, err error) {
	list, err := k.List()
	if err != nil {
		return nil, err
	}
	for _, v := range list {
		if v.Check(node, at, now) != nil {
			continue
		}
		text, err := v.Encode()
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts[max(0, len(texts)-hub.MaxVouchers):], nil
}

// Add appends a voucher. It drops those that have expired, and those that say the same by
// the same issuer.
func (k Vouchers) Add(v hub.Voucher, now time.Time) error {
	text, err := v.Encode()
	if err != nil {
		return err
	}
	return editLines(filepath.Join(k.Dir, VouchersFile), text, func(words []string) (keep bool) {
		old, err := hub.ParseVoucher(words[0])
		same := old.Kind == v.Kind && old.Text == v.Text && old.Issuer == v.Issuer && old.Hub == v.Hub
		return err != nil || !same && now.Before(old.Ends().Add(hub.DateSlack))
	})
}

// eachLine calls f with the words of each line of a state file that has any. An error of f
// gets the file, the line, and the code [proto.Config].
func eachLine(path string, f func(words []string) error) error {
	text, err := statefile.Read(path, maxVoucherFileBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if words := lineWords(line); len(words) > 0 {
			if err := f(words); err != nil {
				return proto.Errorf(proto.Config, "%s:%d: %w", path, n, err)
			}
		}
	}
	return nil
}

func lineWords(line string) []string {
	line, _, _ = strings.Cut(line, "#")
	return strings.Fields(line)
}

// editLines keeps the lines without words and those for which keep is true, and appends a
// line unless that is "".
func editLines(path, line string, keep func(words []string) bool) error {
	return statefile.Edit(path, maxVoucherFileBytes, func(old []byte) ([]byte, error) {
		var out bytes.Buffer
		for l := range strings.Lines(string(old)) {
			if words := lineWords(l); len(words) == 0 || keep(words) {
				out.WriteString(strings.TrimSuffix(l, "\n") + "\n")
			}
		}
		if line != "" {
			out.WriteString(line + "\n")
		}
		return out.Bytes(), nil
	})
}
