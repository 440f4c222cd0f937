package signin

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/grant"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/live"
	"github.com/gatepost/gatepost/gateway/internal/login"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
	"github.com/gatepost/gatepost/gateway/internal/session"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/token"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// Config joins the parts that a sign-in needs.
type Config struct {
	Base     string // the gateway's base URL without a trailing slash
	Ring     *vault.Ring
	Live     *live.Cache
	Logins   *login.Keeper
	Sessions *session.Keeper
	// Participants are the clients that hear of the end of a session.
	Participants *session.Participants
	Marks        *grant.Marks
	Codes        *grant.Codes
	Grants       *grant.Keeper
	Once         *grant.Once
	Opaque       *grant.Opaque
	Requests     *grant.Requests
	Consents     *grant.Consents
	Devices      *grant.Devices
	Guard        *limit.Guard
	Tokens       *token.Tokens
	Pools        *pool.Pools
	Users        *pool.Users
	Audit        *audit.Recorder
	Flags        *flag.Flags
	Egress       *http.Client // calls addresses that clients registered
	// ClientKeys finds the public keys of clients, ClientSecrets the secrets of one
	// as far as they are kept.
	ClientKeys    *client.Keys
	ClientSecrets func(context.Context, *client.Client) ([]string, error)
	// ClientCertificates tells whether the listener asks for TLS certificates,
	// ClientCAs who may have issued those of tls_client_auth; nil: nobody.
	ClientCertificates bool
	ClientCAs          *x509.CertPool
	// SelfService sends and takes codes, and knows passkeys.
	SelfService *selfservice.Service
	MFASessions *pool.MFASessions
	// ClientsOf returns the clients of a workspace.
	ClientsOf func(ctx context.Context, k tenant.Key) ([]client.Client, error)
	// HostSpace returns the workspace that an app host belongs to; the proxy's
	// redirect URIs come from it, never from a request.
	HostSpace func(host string) (tenant, workspace string, ok bool)
	Log       *slog.Logger
	Now       func() time.Time
}

// Service signs people in. Safe for concurrent use.
type Service struct {
	Config
	names   Names
	bearers *otter.Cache[[32]byte, *Bearer]
	wrong   *otter.Cache[[32]byte, struct{}] // who presented a wrong client secret of late
	ended   ends
	telling slots // of the clients that are being told
}

// New returns a service over opened parts.
func New(c Config) (*Service, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	bearers, err := otter.New(&otter.Options[[32]byte, *Bearer]{MaximumSize: 50_000})
	if err != nil {
		return nil, err
	}
	wrong, err := otter.New(&otter.Options[[32]byte, struct{}]{MaximumSize: 50_000})
	if err != nil {
		return nil, err
	}
	return &Service{
		wrong:  wrong,
		Config: c, names: Names{Secure: strings.HasPrefix(c.Base, "https://")}, bearers: bearers,
		ended: ends{wake: make(chan struct{}, 1)},
	}, nil
}

// Browser is what a request says about the browser that sent it.
type Browser struct {
	Cookies   func(name string) []string // all values of a name, as sent
	Names     func() []string            // names of all cookies sent
	IP        netip.Addr
	UserAgent string
}

// Cookie is one cookie to set. All are HttpOnly, Path=/ and SameSite=Lax.
type Cookie struct {
	Name, Value string
	Life        time.Duration // 0: as long as the browser runs; negative: delete
	Secure      bool
}

// Outcome is where a browser goes next.
type Outcome struct {
	Location string            // absolute, or a path on the base URL
	Form     map[string]string // response_mode=form_post: post these to Location instead
	Cookies  []Cookie
}

// refuse is an OAuth error (RFC 6749, section 5.2) with a sentence for the
// developer who reads it.
func refuse(code, say string, cause error) error {
	e := fault.New(fault.Invalid, say, cause)
	e.Code = code
	if code == "invalid_client" {
		e.Kind = fault.Unauthenticated
	}
	return e
}
