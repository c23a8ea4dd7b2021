package token

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mesh/proto/identity"
	"mesh/proto/statefile"
)

// ClaimedFile is the file in the state folder with the nodes that have used
// signed capabilities whose uses are counted: lines "ID NODEID EXPIRES", EXPIRES
// in seconds since 1970 and 0 for never. Adding a line drops the expired ones.
const ClaimedFile = "claimed_tokens"

// claimCapability counts dialer as a user of a signed capability. The record is
// a file because a capability outlives the process.
func claimCapability(path string, c Claims, dialer identity.ID) error {
	return statefile.Edit(path, maxListBytes, func(old []byte) ([]byte, error) {
		var claims []identity.ID
		var out bytes.Buffer
		now := time.Now().Unix()
		for line := range strings.Lines(string(old)) {
			words := strings.Fields(line)
			if len(words) != 3 {
				continue
			}
			if at, err := strconv.ParseInt(words[2], 10, 64); err != nil || at != 0 && at <= now {
				continue
			}
			out.WriteString(strings.TrimSuffix(line, "\n") + "\n")
			if id, err := identity.ParseID(words[1]); err == nil && words[0] == c.ID.String() {
				claims = append(claims, id)
			}
		}
		after, err := addClaim(claims, dialer, c.Uses)
		if err != nil || len(after) == len(claims) {
			return old, err
		}
		var expires int64
		if !c.Expires.IsZero() {
			expires = c.Expires.Unix()
		}
		fmt.Fprintf(&out, "%s %s %d\n", c.ID, dialer, expires)
		return out.Bytes(), nil
	})
}
