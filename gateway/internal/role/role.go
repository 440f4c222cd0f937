package role

import (
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Root is the tenant whose roles reach over other tenants.
const Root = "system"

// The types of subjects. Client is ours: an API client of a workspace holds
// roles like a person.
const (
	SubjectUser   = "identity_pool_user"
	SubjectIDP    = "idp" // everybody who signs in by that IDP
	SubjectClient = "client"
)

// Subject is who holds a role. Its JSON is the published type RoleSubject, with
// client_id in addition.
type Subject struct {
	Type        string `json:"type"`
	TenantID    string `json:"tenant_id"`
	PoolID      string `json:"identity_pool_id,omitempty"`
	UserID      string `json:"identity_pool_user_id,omitempty"`
	WorkspaceID string `json:"workspace_id,omitempty"` // of the IDP
	IDPID       string `json:"idp_id,omitempty"`
	ClientID    string `json:"client_id,omitempty"`
	Epoch       string `json:"-"` // of the user, IDP or client
}

// User returns the subject for a user of a pool.
func User(tenant, pool, user, epoch string) Subject {
	return Subject{Type: SubjectUser, TenantID: tenant, PoolID: pool, UserID: user, Epoch: epoch}
}

// IDP returns the subject for everybody who signs in by an IDP of a workspace.
func IDP(tenant, workspace, idp, epoch string) Subject {
	return Subject{Type: SubjectIDP, TenantID: tenant, WorkspaceID: workspace, IDPID: idp, Epoch: epoch}
}

// Client returns the subject for an API client.
func Client(tenant, client, epoch string) Subject {
	return Subject{Type: SubjectClient, TenantID: tenant, ClientID: client, Epoch: epoch}
}

// key names the subject within its tenant; two subjects never share one.
func (s Subject) key() string {
	switch s.Type {
	case SubjectUser:
		return store.ID(s.Type, s.PoolID, s.UserID)
	case SubjectIDP:
		return store.ID(s.Type, s.WorkspaceID, s.IDPID)
	default:
		return store.ID(s.Type, s.ClientID)
	}
}

func (s Subject) check() error {
	need := map[string]string{}
	switch s.Type {
	case SubjectUser:
		need["identity_pool_id"], need["identity_pool_user_id"] = s.PoolID, s.UserID
	case SubjectIDP:
		need["workspace_id"], need["idp_id"] = s.WorkspaceID, s.IDPID
	case SubjectClient:
		need["client_id"] = s.ClientID
	default:
		return fault.At(fault.Unprocessable, "type", `must be one of "identity_pool_user", "idp", "client"`)
	}
	for _, field := range []string{"identity_pool_id", "identity_pool_user_id", "workspace_id", "idp_id", "client_id"} {
		if v, ok := need[field]; ok && v == "" {
			return fault.At(fault.Unprocessable, field, "is required for a subject of type "+s.Type)
		}
	}
	return nil
}

// Ref is an object with its epoch.
type Ref struct {
	ID    string `json:"id"`
	Epoch string `json:"epoch"`
}

// Resource is what a role is held on, with what contains it. Tenant is always
// set. Pool makes it a pool, which may belong to a workspace; otherwise
// Workspace makes it a workspace.
type Resource struct {
	Tenant    Ref `json:"tenant"`
	Workspace Ref `json:"workspace"`
	Pool      Ref `json:"pool"`
}

// Kind returns KindTenant, KindWorkspace or KindPool.
func (r Resource) Kind() string {
	switch {
	case r.Pool.ID != "":
		return KindPool
	case r.Workspace.ID != "":
		return KindWorkspace
	default:
		return KindTenant
	}
}

// self is the resource itself without what contains it.
func (r Resource) self() Ref { return r.at(r.Kind()) }

func (r Resource) at(kind string) Ref {
	switch kind {
	case KindPool:
		return r.Pool
	case KindWorkspace:
		return r.Workspace
	default:
		return r.Tenant
	}
}

func (r Resource) key() string { return store.ID(r.Kind(), r.self().ID) }

// Assignment is a role and who holds it: the published types TenantRoleSubject,
// WorkspaceRoleSubject and IdentityPoolRoleSubject, and the body of a grant.
type Assignment struct {
	Subject
	Role string `json:"role"`
}

// Held is a role and what it is held on: the published type
// ExtendedRoleResource.
type Held struct {
	Type        string `json:"type"`
	TenantID    string `json:"tenant_id"`
	WorkspaceID string `json:"workspace_id,omitempty"`
	PoolID      string `json:"identity_pool_id,omitempty"`
	Role        string `json:"role"`
}

func held(r Resource, role string) Held {
	h := Held{Type: r.Kind(), TenantID: r.Tenant.ID, PoolID: r.Pool.ID, Role: role}
	if h.Type == KindWorkspace {
		h.WorkspaceID = r.Workspace.ID
	}
	return h
}

// grant is one role as it is stored.
type grant struct {
	Subject      Subject  `json:"subject"`
	SubjectEpoch string   `json:"subject_epoch"`
	Resource     Resource `json:"resource"`
	Role         string   `json:"role"`
}

func (g *grant) id() string { return store.ID(g.Resource.key(), g.Subject.key(), g.Role) }

func (g *grant) bySubject() (store.Key, bool) {
	return store.Key{Equal: g.Subject.key(), Order: g.Resource.key()}, true
}

func (g *grant) byResource() (store.Key, bool) {
	return store.Key{Equal: g.Resource.key(), Order: g.Subject.key()}, true
}

// holder returns the subject with its epoch.
func (g *grant) holder() Subject {
	s := g.Subject
	s.Epoch = g.SubjectEpoch
	return s
}
