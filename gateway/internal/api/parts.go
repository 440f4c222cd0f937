package api

import (
	"log/slog"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/idp"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/role"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
	"github.com/gatepost/gatepost/gateway/internal/setup"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/vault"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// Public switches on operations that need no token. Both are off by default: a
// page that uses them has nothing but the code between it and anybody.
type Public struct {
	ConfirmReset  bool // resetPasswordConfirm
	VerifyAddress bool // completeAddressVerification of the self-service
}

// Parts are what the API works on. Log may be nil.
type Parts struct {
	Base        string // the gateway's base URL without a trailing slash
	Store       *store.Store
	Ring        *vault.Ring
	Signin      *signin.Service
	Setup       *setup.Setup
	Tenants     *tenant.Keeper
	Roles       *role.Roles
	Clients     *client.Keeper
	IDPs        *idp.Keeper
	Pools       *pool.Pools
	Schemas     *pool.Schemas
	Users       *pool.Users
	MFASessions *pool.MFASessions
	SelfService *selfservice.Service
	Groups      *pool.Groups
	Codes       *code.Keeper // nil: dumps hold no codes
	Flags       *flag.Flags
	Rules       *limit.Rules
	Rates       *limit.Rates // nil: requests are not limited
	Routes      *route.Keeper
	Errors      *web.Errors
	Public      Public
	// Position is how far the change log was read here.
	Position func() uint64
	MaxBody  int64 // bytes of a request body
	Log      *slog.Logger
	Now      func() time.Time
}
