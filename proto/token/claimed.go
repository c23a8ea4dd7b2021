package token

import (
	"errors"
	"fmt"
	"io/fs"
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
		claims, out := claimsOf(old, c.ID)
		after, err := addClaim(claims, dialer, c.Uses)
		if err != nil || len(after) == len(claims) {
			return old, err
		}
		var expires int64
		if !c.Expires.IsZero() {
			expires = c.Expires.Unix()
		}
		return fmt.Appendf(out, "%s %s %d\n", c.ID, dialer, expires), nil
	})
}

// capabilityClaimable returns the error of [claimCapability], and writes nothing.
func capabilityClaimable(path string, c Claims, dialer identity.ID) error {
	text, err := statefile.Read(path, maxListBytes)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	claims, _ := claimsOf(text, c.ID)
	_, err = addClaim(claims, dialer, c.Uses)
	return err
}

// claimsOf returns the nodes that have used a token, and the lines of the file without
// those that have expired.
func claimsOf(text []byte, id ID) (claims []identity.ID, kept []byte) {
	now := time.Now().Unix()
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) != 3 {
			continue
		}
		if at, err := strconv.ParseInt(words[2], 10, 64); err != nil || at != 0 && at <= now {
			continue
		}
		kept = append(kept, strings.TrimSuffix(line, "\n")+"\n"...)
		if node, err := identity.ParseID(words[1]); err == nil && words[0] == id.String() {
			claims = append(claims, node)
		}
	}
	return claims, kept
}
