package setup

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// The passwords of the demo's users. Everybody knows them: the demo listens on
// loopback alone, and marks its data so that it is never taken for anything else.
const (
	AlicePassword = "alice-likes-gates"
	BobPassword   = "bob-walks-the-long-wall"
)

// The ids of what the demo makes in its tenant.
const (
	demoPool         = "people"
	demoPublic       = "demo-public"
	demoConfidential = "demo-confidential"
	demoRoute        = "Demo app"
)

// DemoConfig says where the demo and its app are.
type DemoConfig struct {
	Base        string // base URL; empty: that of the Setup
	AppHost     string // of the protected app, as browsers send it; empty: no route
	AppUpstream string // its address
}

// Demo is what a demo consists of, and the content of demo.json. Listen, AppURL
// and MailDir are the caller's to fill in.
type Demo struct {
	Listen    string      `json:"listen"`
	BaseURL   string      `json:"base_url"`
	AppURL    string      `json:"app_url"`
	Tenant    string      `json:"tenant"`
	Workspace string      `json:"workspace"`
	PoolID    string      `json:"pool_id"`
	IDPID     string      `json:"idp_id"`
	MailDir   string      `json:"mail_dir"`
	Users     []DemoUser  `json:"users"`
	Clients   DemoClients `json:"clients"`
}

// DemoUser is a person who can sign in.
type DemoUser struct {
	Identifier string `json:"identifier"`
	Password   string `json:"password"`
}

// DemoClients are the demo's clients. Root and RootSystem are the root tenant's.
type DemoClients struct {
	Admin        DemoClient `json:"admin"`
	System       DemoClient `json:"system"`
	Root         DemoClient `json:"root"`
	RootSystem   DemoClient `json:"root_system"`
	Confidential DemoClient `json:"confidential"`
	Public       DemoClient `json:"public"`
}

// DemoClient is one client; a public one has no secret.
type DemoClient struct {
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"`
	TokenURL     string   `json:"token_url"`
	Scopes       []string `json:"scopes"`
	RedirectURIs []string `json:"redirect_uris"`
}

// Demo fills the store with the demo, or finds what an earlier call filled in:
// the clients, their secrets and the users stay the same. Addresses follow c.
// Conflict for the data of a gateway that was set up in earnest: known passwords
// must never come into that.
func (s *Setup) Demo(ctx context.Context, c DemoConfig) (Demo, error) {
	c.Base = strings.TrimRight(cmp.Or(c.Base, s.config.Base), "/")
	if err := s.mark(ctx); err != nil {
		return Demo{}, err
	}
	root, spaces, err := s.root(ctx)
	if err != nil {
		return Demo{}, err
	}
	made, err := s.firstTenant(ctx, "", "", true)
	if err != nil {
		return Demo{}, err
	}
	d := Demo{BaseURL: c.Base, Tenant: made.Tenant.ID, Workspace: defaultID, PoolID: demoPool}
	d.Clients.Admin, d.Clients.System = c.shown(made.admin), c.shown(made.system)
	for i, into := range []*DemoClient{&d.Clients.Root, &d.Clients.RootSystem} {
		api, err := s.apiClient(ctx, &root, &spaces[i])
		if err != nil {
			return Demo{}, err
		}
		*into = c.shown(api)
	}
	k := tenant.Key{Tenant: d.Tenant, Workspace: d.Workspace}
	if err := s.demoClients(ctx, k, c, &d.Clients); err != nil {
		return Demo{}, err
	}
	if d.IDPID, d.Users, err = s.demoPeople(ctx, k); err != nil {
		return Demo{}, err
	}
	return d, s.demoApp(ctx, k, c)
}

// mark makes the store the demo's, before anything of the demo is in it.
func (s *Setup) mark(ctx context.Context) error {
	return s.change(ctx, func(f *first) error {
		now := s.config.Now()
		if f.Demo {
			return nil
		}
		if f.free(now) != nil {
			return fault.New(fault.Conflict, "This data belongs to a gateway that was set up; the demo needs a directory of its own.", nil)
		}
		*f = first{Done: now.UTC(), Demo: true, Base: f.Base}
		return nil
	})
}

func (c *DemoConfig) shown(v client.Client) DemoClient {
	return DemoClient{
		ClientID: v.ClientID, ClientSecret: v.ClientSecret, TokenURL: tokenURL(c.Base, v.Key()),
		Scopes: v.Scopes, RedirectURIs: v.RedirectURIs,
	}
}

// demoClients makes the public and the confidential client. They may ask for
// what there is for people; new scopes reach them at the next start.
func (s *Setup) demoClients(ctx context.Context, k tenant.Key, c DemoConfig, into *DemoClients) error {
	w, err := s.config.Tenants.Workspaces.Get(ctx, k)
	if err != nil {
		return err
	}
	have, err := s.config.Clients.Scopes.All(ctx, k)
	if err != nil {
		return err
	}
	var scopes []string
	for _, name := range slices.Concat(signInScopes, selfScopes, []string{"introspect_tokens"}) {
		if slices.ContainsFunc(have, func(v client.Scope) bool { return v.Name == name }) {
			scopes = append(scopes, name)
		}
	}
	public := demoClient(&w, demoPublic, "Demo, public")
	public.GrantTypes = slices.Concat(personGrants, []string{grantDevice})
	confidential := demoClient(&w, demoConfidential, "Demo, confidential")
	confidential.TokenEndpointAuthMethod = client.AuthBasic
	confidential.GrantTypes = slices.Clone(everyGrant)
	for _, v := range []struct {
		want client.Client
		into *DemoClient
	}{{public, &into.Public}, {confidential, &into.Confidential}} {
		v.want.Scopes = scopes
		made, err := s.client(ctx, v.want, true)
		if err != nil {
			return err
		}
		*v.into = c.shown(made)
	}
	return nil
}

// demoPeople makes the pool, its IDP and its users.
func (s *Setup) demoPeople(ctx context.Context, k tenant.Key) (string, []DemoUser, error) {
	yes := true
	_, err := s.pool(ctx, k.Tenant, pool.Input{IdentifierCaseInsensitive: &yes, Pool: pool.Pool{
		ID: demoPool, Name: "People", WorkspaceID: k.Workspace, Description: "The people of the demo.", PublicRegistrationAllowed: true,
	}})
	if err != nil {
		return "", nil, err
	}
	p, err := s.idp(ctx, k, demoPool)
	if err != nil {
		return "", nil, err
	}
	users := []DemoUser{{"alice@example.com", AlicePassword}, {"bob@example.com", BobPassword}}
	for i, given := range []string{"Alice", "Bob"} {
		if err := s.demoUser(ctx, k.Tenant, given, users[i]); err != nil {
			return "", nil, err
		}
	}
	return p.ID, users, s.demoGroups(ctx, k.Tenant, users[0].Identifier)
}

// demoGroups makes the groups staff and admins with one person in both.
func (s *Setup) demoGroups(ctx context.Context, tenantID, identifier string) error {
	u, err := s.config.Users.ByIdentifier(ctx, tenantID, demoPool, identifier)
	if err != nil {
		return err
	}
	for _, name := range []string{"staff", "admins"} {
		_, err := s.config.Groups.Create(ctx, tenantID, demoPool, pool.NewGroup{ID: name, Name: name})
		if fault.Is(err, fault.Conflict) { // an earlier start made it: who is in it is for whoever tries the demo to change
			continue
		}
		if err == nil {
			err = s.config.Groups.Add(ctx, tenantID, demoPool, name, u.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Setup) demoUser(ctx context.Context, tenantID, given string, u DemoUser) error {
	_, err := s.config.Users.ByIdentifier(ctx, tenantID, demoPool, u.Identifier)
	if !gone(err) {
		return err
	}
	payload, err := json.Marshal(map[string]string{"given_name": given, "family_name": "Example", "name": given + " Example"})
	if err != nil {
		return fmt.Errorf("profile of %s: %w", u.Identifier, err)
	}
	_, err = s.config.Users.Create(ctx, tenantID, demoPool, pool.NewUser{
		Status: pool.StatusActive, Documents: pool.Documents{Payload: payload},
		Identifiers:         []pool.NewUserIdentifier{{Type: pool.Email, Identifier: u.Identifier}},
		VerifiableAddresses: []pool.NewUserVerifiableAddress{{Type: pool.Email, Address: u.Identifier, Verified: true}},
		Credentials:         []pool.NewUserCredential{{Type: pool.TypePassword, Password: u.Password}},
	})
	if fault.Is(err, fault.Conflict) {
		err = interrupted(err)
	}
	return err
}

// demoApp makes the route to the demo app and removes one that an earlier start
// made for another port.
func (s *Setup) demoApp(ctx context.Context, k tenant.Key, c DemoConfig) error {
	if c.AppHost == "" {
		return nil
	}
	want := route.Route{
		Tenant: k.Tenant, Workspace: k.Workspace, Name: demoRoute, Host: c.AppHost, Upstream: c.AppUpstream,
		Policy: route.SignedIn, Assertion: true,
		Headers: route.Headers{Preset: route.AuthRequest, Custom: map[string]string{"X-Auth-Request-Name": "name"}},
	}.Normal()
	rows, err := s.config.Routes.List(ctx, k.Tenant, k.Workspace, store.Page{Limit: 100})
	if err != nil {
		return err
	}
	found := false
	for _, row := range rows {
		r := &row.Value
		switch {
		case r.ID == want.ID && r.Upstream != want.Upstream:
			_, err = s.config.Routes.Update(ctx, want.ID, want, 0)
		case r.ID != want.ID && r.Name == demoRoute:
			err = s.config.Routes.Delete(ctx, k.Tenant, k.Workspace, r.ID, 0)
		}
		if err != nil {
			return err
		}
		found = found || r.ID == want.ID
	}
	if found {
		return nil
	}
	_, err = s.config.Routes.Create(ctx, want)
	return err
}
