package changes

import (
	"strings"
	"time"
)

// Kinds of entries about configuration: what was written or removed.
const (
	KindTenant    = "tenant"
	KindWorkspace = "workspace"
	KindIDP       = "idp"
	KindPool      = "pool"
	KindUser      = "user"
	KindClient    = "client"
	KindRoute     = "route"
	KindHost      = "host"
	KindFlag      = "flag"
	KindRole      = "role"
	KindKey       = "key"
	KindSchema    = "schema"
)

const revoke = "revoke."

// Kinds of entries about revocations: what ended at the entry's time.
const (
	KindRevokeSession   = revoke + "session"
	KindRevokeUser      = revoke + "user" // Workspace is empty, ID is pool + "/" + user
	KindRevokeGrant     = revoke + "grant"
	KindRevokeClient    = revoke + "client"
	KindRevokeWorkspace = revoke + "workspace"
	KindRevokeSubject   = revoke + "subject" // ID is the sub that tokens of Workspace carry
	KindRevokeIDP       = revoke + "idp"     // everybody who came to Workspace by the IDP
	KindRevokeAccess    = revoke + "access"  // what one person allowed one client in Workspace
	KindRevokeToken     = revoke + "token"   // ID is the jti of one access token, Until its end
)

// Entry names one piece of configuration or one revocation. It carries no
// content: who cares reads that from the store.
type Entry struct {
	Kind      string    `json:"kind"`
	Tenant    string    `json:"tenant"`
	Workspace string    `json:"workspace,omitempty"`
	ID        string    `json:"id,omitempty"`
	At        time.Time `json:"at"`             // Append fills a zero one with its clock
	Keep      []string  `json:"keep,omitempty"` // of a revocation: the ids of sessions, grants and tokens that it spares
	Until     time.Time `json:"until,omitzero"` // of a revocation: when what it ends would have ended anyway; zero: nobody knows
}

// Revocation tells whether e ends something, as opposed to changing it.
func (e Entry) Revocation() bool { return strings.HasPrefix(e.Kind, revoke) }

// PoolUser returns the pool and the user that a [KindRevokeUser] names; no user
// means all of the pool.
func (e Entry) PoolUser() (pool, user string) {
	pool, user, _ = strings.Cut(e.ID, "/")
	return pool, user
}
