package hub

import (
	"errors"
	"fmt"

	"mesh/proto/identity"
)

// CodeOpen (listener) opens a box, which is the place behind a code. Share and AD are the
// listener's part of CPace; AD is the role, the node and 16 random bytes, each with its
// length before it as in what is signed. An open box is opened again with another share
// after the node that claimed it was silent. A hub that was restarted is told of a box that
// it had before: Plate is the one that it gave, 0 for a new box, and Claimed names the node
// that had claimed it. The hub gives the plate again if it can.
type CodeOpen struct {
	Kind    Kind        `json:"kind"`
	Box     ID          `json:"box"`
	Share   []byte      `json:"share"`
	AD      []byte      `json:"ad"`
	Claimed identity.ID `json:"claimed,omitzero"`
	Plate   uint32      `json:"plate,omitzero"`
}

// CodeOpened (hub) answers a [CodeOpen].
type CodeOpened struct {
	Plate    uint32 `json:"plate"`
	ExpiresS uint32 `json:"expires_s"`
}

// CodeClaim (dialer) asks for the box behind a plate.
type CodeClaim struct {
	Plate uint32 `json:"plate"`
}

// CodeClaimed (hub) answers a [CodeClaim] with the box of the listener Peer. The listener
// gets it with the box alone; its envelope names the dialer.
type CodeClaimed struct {
	Box   ID          `json:"box"`
	Peer  identity.ID `json:"peer,omitzero"`
	Kind  Kind        `json:"kind,omitzero"`
	Share []byte      `json:"share,omitzero"`
	AD    []byte      `json:"ad,omitzero"`
}

// CodeFreed (hub to listener) says that the node that claimed the box is silent or gone.
type CodeFreed struct {
	Box ID `json:"box"`
}

// CodeConfirm (dialer, passed on to the listener) proves that the dialer knows the code.
type CodeConfirm struct {
	Box   ID     `json:"box"`
	Share []byte `json:"share"`
	AD    []byte `json:"ad"`
	Tag   []byte `json:"tag"`
}

// CodeDone (listener, passed on to the dialer) proves that the listener knows the code,
// and has the [Grant]. Sig is that of an accept whose session is the box and whose
// request's signature is the dialer's tag.
type CodeDone struct {
	Box    ID     `json:"box"`
	Tag    []byte `json:"tag"`
	Sealed []byte `json:"sealed"`
	Sig    []byte `json:"sig"`
}

// The reasons of a [CodeBurn].
const (
	BurnWrong   = "wrong"   // the dialer has another code
	BurnClosed  = "closed"  // the listener no longer waits
	BurnOffline = "offline" // the listener is not connected
	BurnTimeout = "timeout" // the listener gives no answer
)

// CodeBurn (listener, or hub for it; passed on to the dialer) closes a box for good.
type CodeBurn struct {
	Box    ID     `json:"box"`
	Reason string `json:"reason"`
}

func (c *CodeOpen) check() error {
	err := errors.Join(checkKind(c.Kind), checkID("box", c.Box), checkBytes("share", c.Share, ShareBytes), checkAD(c.AD, RoleListener))
	if c.Plate != 0 {
		err = errors.Join(err, checkPlate(c.Plate))
	}
	return err
}

func (c *CodeOpened) check() error { return checkPlate(c.Plate) }

func (c *CodeClaim) check() error { return checkPlate(c.Plate) }

func (c *CodeClaimed) check() error {
	err := checkID("box", c.Box)
	if c.Peer == (identity.ID{}) && c.Kind == "" && len(c.Share) == 0 && len(c.AD) == 0 {
		return err
	}
	return errors.Join(err, checkKey("peer", c.Peer), checkKind(c.Kind), checkBytes("share", c.Share, ShareBytes), checkAD(c.AD, RoleListener))
}

func (c *CodeFreed) check() error { return checkID("box", c.Box) }

func (c *CodeConfirm) check() error {
	return errors.Join(checkID("box", c.Box), checkBytes("share", c.Share, ShareBytes), checkAD(c.AD, RoleDialer), checkBytes("tag", c.Tag, TagBytes))
}

func (c *CodeDone) check() error {
	return errors.Join(checkID("box", c.Box), checkBytes("tag", c.Tag, TagBytes), checkSealed(c.Sealed), checkBytes("sig", c.Sig, SignatureBytes))
}

func (c *CodeBurn) check() error {
	return errors.Join(checkID("box", c.Box), checkText("reason", c.Reason, MaxTextBytes))
}

func checkPlate(n uint32) error {
	if n < 1 || n > MaxPlate {
		return fmt.Errorf("plate %d, want 1 to %d", n, MaxPlate)
	}
	return nil
}

func checkAD(ad []byte, role string) error {
	if _, ok := nodeOfAD(ad, role); !ok {
		return fmt.Errorf("ad is not role %s, node and %d bytes", role, boxNonceBytes)
	}
	return nil
}
