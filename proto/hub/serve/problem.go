package serve

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"mesh/proto"
	"mesh/proto/hub"
	"mesh/proto/hub/broker"
)

// Problem is an error of the API (RFC 9457). Code is one of package hub, for example
// [hub.CodeNotFound]; Type is "/problems/" and the code. RetryAfterS is absent unless
// the request may be sent again after so many seconds.
type Problem struct {
	Type        string `json:"type"`
	Title       string `json:"title"`
	Status      int    `json:"status"`
	Detail      string `json:"detail"`
	Code        string `json:"code"`
	RetryAfterS int    `json:"retry_after,omitzero"`
}

// statuses are the HTTP statuses of the codes; [http.StatusInternalServerError] is that
// of all others.
var statuses = map[string]int{
	hub.CodeBadEvent: http.StatusBadRequest, hub.CodeBadName: http.StatusBadRequest,
	hub.CodeBadToken: http.StatusUnauthorized,
	hub.CodeDenied:   http.StatusForbidden, hub.CodeNotMember: http.StatusForbidden, hub.CodeBadOrigin: http.StatusForbidden,
	hub.CodeNotFound:  http.StatusNotFound,
	hub.CodeBadMethod: http.StatusMethodNotAllowed,
	hub.CodeTaken:     http.StatusConflict, hub.CodeReserved: http.StatusConflict,
	hub.CodeTooLarge:  http.StatusRequestEntityTooLarge,
	hub.CodeBadType:   http.StatusUnsupportedMediaType,
	hub.CodeMisdirect: http.StatusMisdirectedRequest,
	hub.CodeLimit:     http.StatusTooManyRequests, hub.CodeRateLimited: http.StatusTooManyRequests,
	hub.CodeHeaders:  http.StatusRequestHeaderFieldsTooLarge,
	hub.CodeDraining: http.StatusServiceUnavailable, hub.CodeStore: http.StatusServiceUnavailable,
	hub.CodeNoSpace: http.StatusServiceUnavailable,
}

// refuse returns an error with a code.
func refuse(code, text string) error { return &broker.Refusal{Code: code, Err: errors.New(text)} }

// malformed is the error of a request that can't be read.
func malformed(err error) error { return &broker.Refusal{Code: hub.CodeBadEvent, Err: err} }

func problemOf(err error) Problem {
	p := Problem{Code: hub.CodeInternal, Status: http.StatusInternalServerError, Detail: err.Error()}
	if r, ok := errors.AsType[*broker.Refusal](err); ok {
		p.Code = r.Code
	}
	if p.Code == hub.CodeInternal && proto.CodeOf(err) == proto.Space {
		p.Code = hub.CodeNoSpace
	}
	if status, ok := statuses[p.Code]; ok {
		p.Status = status
	}
	if later, ok := errors.AsType[*broker.RetryLater](err); ok {
		p.RetryAfterS = int((later.After + time.Second - 1) / time.Second)
	}
	p.Type, p.Title = "/problems/"+p.Code, http.StatusText(p.Status)
	return p
}

// writeProblem answers a request with an error.
func writeProblem(w http.ResponseWriter, err error) {
	p := problemOf(err)
	if p.RetryAfterS > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfterS))
	}
	if p.Code == hub.CodeBadToken {
		w.Header().Set("WWW-Authenticate", `Bearer realm="mesh-hub"`) // RFC 6750, section 3
	}
	writeJSON(w, p.Status, "application/problem+json", p)
}

func writeJSON(w http.ResponseWriter, status int, kind string, value any) {
	text, err := json.Marshal(value)
	if err != nil { // a text of a peer that is no UTF-8; events have none
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the client notices
}
