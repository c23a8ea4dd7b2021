package token

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/identity"
	"mesh/tools/cmdline"
	"mesh/tools/paste"
)

// hubText returns the voucher or invite in a text, which a mail may have broken into pieces.
// It is "" for any other text.
func hubText(text string) string {
	text = strings.ToLower(strings.ReplaceAll(paste.Word(text), " ", ""))
	if strings.HasPrefix(text, hub.VoucherPrefix) || strings.HasPrefix(text, hub.InvitePrefix) {
		return text
	}
	return ""
}

// hubFile is hubText for the text in a file. A file that cannot be read has none: the caller
// reports that.
func hubFile(name string) string {
	f, err := os.Open(paste.Word(name))
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, paste.MaxFileBytes))
	if err != nil {
		return ""
	}
	return hubText(string(text))
}

// hubArgument returns the voucher or invite that an argument is, or that it names as @FILE.
func hubArgument(word string) string {
	if file, ok := strings.CutPrefix(paste.Word(word), "@"); ok {
		return hubFile(file)
	}
	return hubText(word)
}

// checkSecret refuses an invite that stands on the command line itself.
func checkSecret(word, text string) error {
	if strings.HasPrefix(text, hub.InvitePrefix) && !strings.HasPrefix(paste.Word(word), "@") {
		err := proto.Errorf(proto.Usage, "an invite as an argument can be read by all users of this machine")
		return proto.Hint(err, "give @FILE, or the invite on standard input")
	}
	return nil
}

// readVoucher reads the voucher that a text is.
func readVoucher(text string) (hub.Voucher, error) {
	if !strings.HasPrefix(text, hub.InvitePrefix) {
		return hub.ParseVoucher(text)
	}
	i, err := hub.ParseInvite(text)
	if err != nil {
		return hub.Voucher{}, err
	}
	if i.Voucher != nil {
		return *i.Voucher, nil
	}
	return hub.Voucher{}, proto.Errorf(proto.Usage, "the invite carries no voucher: only its hub can take it back")
}

// voucherDescription is what is in a voucher, as --json prints it.
type voucherDescription struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"` // voucher
	Says    string    `json:"says"` // name, room or admit
	Text    string    `json:"text"`
	Issuer  string    `json:"issuer"`
	Node    string    `json:"node"`
	Hub     *string   `json:"hub"` // null: any
	Expires time.Time `json:"expires"`
	Expired bool      `json:"expired"`
}

func describeVoucher(v hub.Voucher, now time.Time) voucherDescription {
	d := voucherDescription{
		ID: v.ID.String(), Kind: "voucher", Says: v.Kind.String(), Text: v.Text, Issuer: v.Issuer.String(), Node: v.Holder().String(),
		Expires: v.Ends().UTC(), Expired: !now.Before(v.Ends().Add(hub.DateSlack)),
	}
	if v.Hub != (identity.ID{}) {
		at := v.Hub.String()
		d.Hub = &at
	}
	return d
}

// inviteDescription is what is in an invite, as --json prints it.
type inviteDescription struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"` // invite
	Hub     string    `json:"hub"`
	Expires time.Time `json:"expires"`
	Expired bool      `json:"expired"`
	// Voucher is what the invite carries; null: nothing.
	Voucher *voucherDescription `json:"voucher"`
}

// showHub prints a voucher or an invite.
func showHub(text string, asJSON bool, s cmdline.Streams, now time.Time) error {
	var d any
	var rows [][2]string
	if strings.HasPrefix(text, hub.InvitePrefix) {
		i, err := hub.ParseInvite(text)
		if err != nil {
			return err
		}
		n := inviteDescription{i.Key().String(), "invite", i.URL.String(), i.Expires.UTC(), !now.Before(i.Expires.Add(hub.DateSlack)), nil}
		d, rows = n, [][2]string{{"id", n.ID}, {"kind", n.Kind}, {"hub", n.Hub}, {"expires", date(n.Expires, n.Expired)}}
		if i.Voucher != nil {
			v := describeVoucher(*i.Voucher, now)
			n.Voucher = &v
			d, rows = n, append(rows, [2]string{"voucher", v.ID}, [2]string{"says", strings.TrimSpace(v.Says + " " + v.Text)}, [2]string{"issuer", v.Issuer})
		}
	} else {
		v, err := hub.ParseVoucher(text)
		if err != nil {
			return err
		}
		if err := v.CheckSigned(); err != nil {
			return err
		}
		n := describeVoucher(v, now)
		at := "any"
		if n.Hub != nil {
			at = *n.Hub
		}
		d, rows = n, [][2]string{{"id", n.ID}, {"kind", n.Kind}, {"says", strings.TrimSpace(n.Says + " " + n.Text)}, {"issuer", n.Issuer}, {"node", n.Node}, {"hub", at}, {"expires", date(n.Expires, n.Expired)}}
	}
	if !asJSON {
		return s.PrintLine(table(rows))
	}
	line, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return s.PrintLine(string(line))
}

// date returns a date as a person reads it.
func date(at time.Time, over bool) string {
	text := at.UTC().Format(time.RFC3339)
	if over {
		text += " (expired)"
	}
	return text
}

// table returns lines of two columns, without a line feed at the end.
func table(rows [][2]string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		_, _ = io.WriteString(w, row[0]+"\t"+row[1]+"\n") // to memory
	}
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}
