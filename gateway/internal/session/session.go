package session

import (
	"encoding/json"
	"sync"
	"time"
)

// Session is the signed-in state of one browser in one workspace. It is
// immutable once found; the keeper replaces it.
type Session struct {
	ID     string `json:"-"` // SHA-256 of the cookie's secret, lower-case hex; also the sid of tokens
	Tenant string `json:"-"`

	Parent         string          `json:"parent,omitempty"` // the session on the base host; empty: this is one
	Host           string          `json:"host,omitempty"`   // a child is good on this host only
	Workspace      string          `json:"workspace"`
	WorkspaceEpoch string          `json:"workspace_epoch"`
	Pool           string          `json:"pool,omitempty"`
	User           string          `json:"user,omitempty"`
	UserEpoch      string          `json:"user_epoch,omitempty"`
	IDP            string          `json:"idp,omitempty"`
	Subject        string          `json:"subject"`
	AuthTime       time.Time       `json:"auth_time"`
	ACR            string          `json:"acr,omitempty"`
	AMR            []string        `json:"amr,omitempty"`
	Proven         []string        `json:"proven,omitempty"`  // the methods that were used, whatever AMR is made to say
	Context        json.RawMessage `json:"context,omitempty"` // the authentication context as JSON text
	IP             string          `json:"ip,omitempty"`
	UserAgent      string          `json:"user_agent,omitempty"`
	Created        time.Time       `json:"created"`
	Touched        time.Time       `json:"touched"`
	Expires        time.Time       `json:"expires"` // absolute; idling may end it earlier
	Idle           time.Duration   `json:"idle"`

	memo *memo
}

// Root returns the id of the session on the base host that this one belongs to.
func (s *Session) Root() string {
	if s.Parent != "" {
		return s.Parent
	}
	return s.ID
}

// Ends returns when the session ends if nobody touches it.
func (s *Session) Ends() time.Time {
	if idle := s.Touched.Add(s.Idle); s.Idle > 0 && idle.Before(s.Expires) {
		return idle
	}
	return s.Expires
}

type memo struct {
	mu sync.Mutex
	v  any
}

// Memo returns what build made the first time it was asked for this session,
// and keeps it as long as the session stays in the cache. The proxy keeps ready
// header bytes there.
func (s *Session) Memo(build func() any) any {
	if s.memo == nil {
		return build()
	}
	s.memo.mu.Lock()
	defer s.memo.mu.Unlock()
	if s.memo.v == nil {
		s.memo.v = build()
	}
	return s.memo.v
}
