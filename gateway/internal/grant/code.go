package grant

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/changes"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// ErrInvalid means that a code or refresh token does not hold: unknown, used,
// expired, ended or another client's. The OAuth answer is invalid_grant (RFC
// 6749, section 5.2); the wrapped text is for the log.
var ErrInvalid = errors.New("the grant does not hold")

// Terms are what a person or client allowed: who, to whom, what for.
type Terms struct {
	Workspace      string          `json:"workspace"`
	WorkspaceEpoch string          `json:"workspace_epoch"`
	Client         string          `json:"client"`
	ClientEpoch    string          `json:"client_epoch"`
	Pool           string          `json:"pool,omitempty"`
	User           string          `json:"user,omitempty"`
	UserEpoch      string          `json:"user_epoch,omitempty"`
	IDP            string          `json:"idp,omitempty"`
	Subject        string          `json:"subject"`
	Session        string          `json:"session,omitempty"`
	Scopes         []string        `json:"scopes,omitempty"`
	Nonce          string          `json:"nonce,omitempty"`
	AuthTime       time.Time       `json:"auth_time"`
	ACR            string          `json:"acr,omitempty"`
	AMR            []string        `json:"amr,omitempty"`
	Context        json.RawMessage `json:"context,omitempty"`  // the authentication context as JSON text
	Claims         json.RawMessage `json:"claims,omitempty"`   // the claims parameter of the request (OpenID Connect Core 1.0, section 5.5)
	DPoPKey        string          `json:"dpop_jkt,omitempty"` // SHA-256 thumbprint of the key that tokens are bound to (RFC 9449, section 6)
	Actor          json.RawMessage `json:"act,omitempty"`      // who acts for the subject (RFC 8693, section 4.1)
}

// Ref names what the terms hang on, for tokens issued at issued.
func (t Terms) Ref(tenant, grant string, issued time.Time) Ref {
	return Ref{
		Tenant: tenant, Workspace: t.Workspace, Pool: t.Pool, User: t.User,
		Subject: t.Subject, IDP: t.IDP, Client: t.Client, Session: t.Session, Grant: grant, Issued: issued,
	}
}

// Code is what an authorization code stands for.
type Code struct {
	Grant       string    `json:"grant"` // id of the grant that redeeming it will start
	RedirectURI string    `json:"redirect_uri"`
	Named       bool      `json:"named,omitempty"`     // the request named its redirect URI; so must the redemption
	Challenge   string    `json:"challenge,omitempty"` // PKCE S256 (RFC 7636, section 4.2)
	Terms       Terms     `json:"terms"`
	Created     time.Time `json:"created"`
	Expires     time.Time `json:"expires"`
}

type spent struct {
	Grant   string    `json:"grant"`
	Expires time.Time `json:"expires"`
}

// Codes keeps authorization codes (RFC 6749, section 4.1.2). Safe for
// concurrent use.
type Codes struct {
	codes *store.Table[Code]
	spent *store.Table[spent]
	now   func() time.Time
}

// OpenCodes declares the tables.
func OpenCodes(ctx context.Context, s *store.Store, now func() time.Time) (*Codes, error) {
	codes, err := store.Declare(ctx, s, store.Spec[Code]{
		Name:    "codes",
		Expires: func(c *Code) time.Time { return c.Expires },
	})
	if err != nil {
		return nil, err
	}
	used, err := store.Declare(ctx, s, store.Spec[spent]{
		Name:    "codes_spent",
		Expires: func(c *spent) time.Time { return c.Expires },
	})
	if err != nil {
		return nil, err
	}
	return &Codes{codes: codes, spent: used, now: now}, nil
}

// Issue stores c for ttl and returns the code that stands for it: 256 random
// bits, of which the store sees only the hash.
func (c *Codes) Issue(ctx context.Context, tenant string, v Code, ttl time.Duration) (string, error) {
	code := vault.NewSecret()
	v.Grant = vault.NewID()
	v.Created = c.now()
	v.Expires = v.Created.Add(ttl)
	_, err := c.codes.Create(ctx, tenant, vault.Hash(code), v)
	return code, err
}

// Look returns what a code stands for without spending it, or ErrInvalid.
func (c *Codes) Look(ctx context.Context, tenant, code string) (Code, error) {
	row, err := c.codes.Get(ctx, tenant, vault.Hash(code))
	if errors.Is(err, store.ErrNotFound) {
		return Code{}, ErrInvalid
	}
	return row.Value, err
}

// Spend marks the code as used. Of any number of callers exactly one gets nil;
// the others get the id of the grant that must end, with ErrInvalid (RFC 6749,
// section 4.1.2: a code used twice revokes what it gave).
func (c *Codes) Spend(ctx context.Context, tenant, code string, v Code) (reused string, err error) {
	const longer = time.Hour // than the code: it must never come back, whatever the clocks say
	_, err = c.spent.Create(ctx, tenant, vault.Hash(code), spent{Grant: v.Grant, Expires: v.Expires.Add(longer)})
	if errors.Is(err, store.ErrExists) {
		return v.Grant, ErrInvalid
	}
	return "", err
}

// revocation of a grant, for the change log.
func revokeGrant(tenant, id string) changes.Entry {
	return changes.Entry{Kind: changes.KindRevokeGrant, Tenant: tenant, ID: id}
}
