package setup

import (
	"context"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// Operators is the pool of the root tenant for those who run the gateway.
const Operators = "operators"

// operatorID is the id of the first operator. It is fixed, so that an attempt
// after a failed one finds what that left.
const operatorID = "operator"

// Answers are what the first set-up asks for.
type Answers struct {
	Identifier string `json:"identifier"` // of the first operator: an e-mail address, or any name
	Password   string `json:"password"`
	TenantID   string `json:"tenant_id"`   // empty: default
	TenantName string `json:"tenant_name"` // empty: Default, or the id
}

// Result is what the first set-up ends with. The secrets of its clients are
// shown this once.
type Result struct {
	Tenant       tenant.Tenant `json:"tenant"`             // the first
	Client       client.Client `json:"client"`             // its API client: holds admin on the tenant
	TokenURL     string        `json:"token_url"`          // for Client
	Operator     string        `json:"operator,omitempty"` // the identifier as given
	Root         client.Client `json:"root"`               // the API client of the root tenant: holds admin there
	RootTokenURL string        `json:"root_token_url"`     // for Root
}

// ClientFile is what programs need to know of a first set-up, in the form in
// which it is kept in a file: see `gatepost token`.
type ClientFile struct {
	BaseURL  string `json:"base_url"`
	TenantID string `json:"tenant_id"`
	FileClient
	Root FileClient `json:"root"` // administers all tenants
}

// FileClient is an API client in a ClientFile.
type FileClient struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	TokenURL     string `json:"token_url"`
}

// File returns what to keep of a result. It holds the secrets.
func (s *Setup) File(r *Result) ClientFile {
	return ClientFile{
		BaseURL: s.config.Base, TenantID: r.Tenant.ID,
		FileClient: FileClient{ClientID: r.Client.ClientID, ClientSecret: r.Client.ClientSecret, TokenURL: r.TokenURL},
		Root:       FileClient{ClientID: r.Root.ClientID, ClientSecret: r.Root.ClientSecret, TokenURL: r.RootTokenURL},
	}
}

// Complete does the first set-up for whoever has the link: the pool Operators
// with an IDP in the root tenant's workspace admin, the first operator, who
// holds admin on the root tenant, and the first tenant with its API client. Of
// racing callers one succeeds; the others, and all later ones, get Conflict.
// Errors: NotFound for a link that cannot be used; Unprocessable naming the
// answer. After an error the link can be used again, at once or, when this
// process died, after two minutes; a further attempt replaces the operator of
// the failed one.
func (s *Setup) Complete(ctx context.Context, token string, a Answers) (Result, error) {
	a.Identifier = strings.TrimSpace(a.Identifier)
	if a.Identifier == "" && a.Password == "" {
		return Result{}, fault.At(fault.Unprocessable, "identifier", "is required")
	}
	return s.attempt(ctx, a, func(f *first) error { return f.fits(token, s.config.Now()) })
}

// Unattended is Complete without a link, for somebody on the gateway's machine.
// Without identifier and password there is no operator yet: the client of the
// root tenant can make one in the pool Operators.
func (s *Setup) Unattended(ctx context.Context, a Answers) (Result, error) {
	a.Identifier = strings.TrimSpace(a.Identifier)
	return s.attempt(ctx, a, func(*first) error { return nil })
}

// attempt does the work under the lease.
func (s *Setup) attempt(ctx context.Context, a Answers, check func(*first) error) (Result, error) {
	if a.Identifier == "" && a.Password != "" {
		return Result{}, fault.At(fault.Unprocessable, "identifier", "is required")
	}
	if a.Identifier != "" && a.Password == "" {
		return Result{}, fault.At(fault.Unprocessable, "password", "is required")
	}
	run, err := s.take(ctx, check)
	if err != nil {
		return Result{}, err
	}
	work, cancel := context.WithTimeout(ctx, workTime)
	defer cancel()
	r, err := s.work(work, a)
	if err == nil {
		err = s.conclude(work, run)
	}
	if err != nil {
		s.release(ctx, run)
		return Result{}, named(err)
	}
	return r, nil
}

// work does the steps. Each of them finds what an attempt before this left.
func (s *Setup) work(ctx context.Context, a Answers) (Result, error) {
	root, spaces, err := s.root(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := s.operators(ctx); err != nil {
		return Result{}, err
	}
	var operator pool.User
	if a.Identifier != "" {
		if operator, err = s.operator(ctx, a); err != nil {
			return Result{}, err
		}
	}
	made, err := s.firstTenant(ctx, a.TenantID, a.TenantName, false)
	if err != nil {
		return Result{}, err
	}
	api, err := s.apiClient(ctx, &root, &spaces[0])
	if err != nil {
		return Result{}, err
	}
	if a.Identifier != "" {
		who := role.User(root.ID, Operators, operator.ID, operator.Epoch)
		if err := s.config.Roles.Grant(ctx, whole(&root), who, role.Admin); err != nil {
			return Result{}, err
		}
	}
	return Result{
		Tenant: made.Tenant, Client: made.admin, TokenURL: s.TokenURL(made.admin.Key()),
		Operator: a.Identifier, Root: api, RootTokenURL: s.TokenURL(api.Key()),
	}, nil
}

// operators makes the pool of operators and its IDP where they are missing.
func (s *Setup) operators(ctx context.Context) error {
	yes := true
	_, err := s.pool(ctx, tenant.Root, pool.Input{IdentifierCaseInsensitive: &yes, Pool: pool.Pool{
		ID: Operators, Name: "Operators", WorkspaceID: tenant.Admin, System: true,
		Description:    "Those who run this gateway.",
		PasswordPolicy: &credential.Policy{MinLength: 12, Strength: credential.Fair},
	}})
	if err != nil {
		return err
	}
	_, err = s.idp(ctx, tenant.Key{Tenant: tenant.Root, Workspace: tenant.Admin}, Operators)
	return err
}

// operator makes the first operator, in place of one that a failed attempt left.
// The address is not taken for verified: nobody has proven it.
func (s *Setup) operator(ctx context.Context, a Answers) (pool.User, error) {
	err := s.config.Users.Delete(ctx, tenant.Root, Operators, operatorID, 0)
	if err != nil && !gone(err) {
		return pool.User{}, err
	}
	u := pool.NewUser{
		ID: operatorID, Status: pool.StatusActive,
		Identifiers: []pool.NewUserIdentifier{{Type: pool.UID, Identifier: a.Identifier}},
		Credentials: []pool.NewUserCredential{{Type: pool.TypePassword, Password: a.Password}},
	}
	if strings.Contains(a.Identifier, "@") {
		u.Identifiers[0].Type = pool.Email
		u.VerifiableAddresses = []pool.NewUserVerifiableAddress{{Type: pool.Email, Address: a.Identifier}}
	}
	made, err := s.config.Users.Create(ctx, tenant.Root, Operators, u)
	if fault.Is(err, fault.Conflict) {
		err = interrupted(err)
	}
	return made, err
}

// firstTenant makes the first tenant, or completes the one that an attempt
// before this left, and lets it claim hosts and reach upstreams.
//
// What a tenant may claim and reach is the root tenant's to decide. Whoever does
// the first set-up is the root tenant: there is nobody else yet, and all that the
// machine can reach is theirs. So the first tenant gets what an installation
// with a single tenant needs; root may take it back. Later tenants get nothing.
func (s *Setup) firstTenant(ctx context.Context, id, name string, withDefault bool) (filled, error) {
	if id == "" {
		id = defaultID
		if name == "" {
			name = "Default"
		}
	}
	if name == "" {
		name = id
	}
	made, err := s.tenant(ctx, tenant.Tenant{ID: id, Name: name}, withDefault)
	if fault.Is(err, fault.Conflict) && id == tenant.Root {
		return filled{}, fault.At(fault.Unprocessable, "id", "is reserved")
	}
	if fault.Is(err, fault.Conflict) {
		var t tenant.Tenant
		if t, err = s.config.Tenants.Tenants.Get(ctx, id); err == nil {
			made, err = s.fill(ctx, t, withDefault)
		}
	}
	if err != nil {
		return filled{}, err
	}
	return made, s.config.Routes.Allow(ctx, route.Allowance{
		Tenant: made.Tenant.ID, HostSuffixes: []string{route.AnyHost}, UpstreamNetworks: []string{"0.0.0.0/0", "::/0"},
	})
}

// pool returns a pool, and makes it where it is missing.
func (s *Setup) pool(ctx context.Context, tenantID string, in pool.Input) (pool.Pool, error) {
	p, err := s.config.Pools.Get(ctx, tenantID, in.ID)
	if !gone(err) {
		return p, err
	}
	made, err := s.config.Pools.Create(ctx, tenantID, in)
	if !fault.Is(err, fault.Conflict) {
		return made.Pool, err
	}
	conflict := err
	if p, err = s.config.Pools.Get(ctx, tenantID, in.ID); gone(err) {
		err = interrupted(conflict)
	}
	return p, err
}

// idp returns the IDP of a workspace that stands for a pool, and makes it where
// it is missing.
func (s *Setup) idp(ctx context.Context, k tenant.Key, poolID string) (idp.IDP, error) {
	list, err := s.config.IDPs.ListByPool(ctx, k.Tenant, poolID)
	if err != nil {
		return idp.IDP{}, err
	}
	for _, p := range list {
		if p.WorkspaceID == k.Workspace {
			return p, nil
		}
	}
	p, err := s.config.IDPs.Create(ctx, idp.IDP{TenantID: k.Tenant, WorkspaceID: k.Workspace, IdentityPoolID: poolID})
	if fault.Is(err, fault.Unprocessable) && fault.Read(err).Field == "identity_pool_id" {
		err = interrupted(err)
	}
	return p, err
}

// named turns the member that a fault is about into the answer it came from.
func named(err error) error {
	e := fault.Read(err)
	answers := map[string]string{
		"credentials[0].password": "password", "identifiers[0].identifier": "identifier",
		"verifiable_addresses[0].address": "identifier", "id": "tenant_id", "name": "tenant_name",
	}
	answer, ok := answers[e.Field]
	if !ok || e.Kind != fault.Unprocessable {
		return err
	}
	return &fault.Error{Kind: e.Kind, Field: answer, Public: e.Public, Code: e.Code, Cause: err}
}
