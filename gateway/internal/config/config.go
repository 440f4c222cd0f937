package config

import (
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/notify"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/store"
)

// Config is everything that the operator of a machine sets. The json tags are
// the keys of the file. A Config that Load or Finish returned is complete: no
// default is left to fill in.
type Config struct {
	BaseURL        string          `json:"base_url"`
	Listen         Listen          `json:"listen"`
	TrustedProxies []Network       `json:"trusted_proxies"`
	DataDir        Path            `json:"data_dir"`
	Store          Store           `json:"store"`
	Keys           Keys            `json:"keys"`
	Mail           Mail            `json:"mail"`
	SMS            SMS             `json:"sms"`
	Messages       Messages        `json:"messages"`
	Session        Session         `json:"session"`
	MaxStale       store.Duration  `json:"max_stale"` // how long warm sessions go on while the change log cannot be read
	Limits         Limits          `json:"limits"`
	Egress         Egress          `json:"egress"`
	Extensions     Extensions      `json:"extensions"`
	WebAuthn       WebAuthn        `json:"webauthn"`
	PublicAPI      PublicAPI       `json:"public_api"`
	Flags          map[string]bool `json:"flags"` // what a tenant has that set nothing itself
	Log            Log             `json:"log"`
	Hosts          []Host          `json:"hosts"`
	Routes         []Route         `json:"routes"`
}

// Listen holds the listeners.
type Listen struct {
	Public Public `json:"public"`
	Ops    Ops    `json:"ops"`
}

// Public is the listener for everybody.
type Public struct {
	Address string `json:"address"`
	TLS     TLS    `json:"tls"`
}

// TLS names PEM files, which are read again when they change. Both are empty
// when TLS ends in front of the gateway.
type TLS struct {
	Certificate Path `json:"certificate"`
	Key         Path `json:"key"`
	// ClientCertificates is Off, also when empty, or Request when clients may authenticate by a
	// certificate (RFC 8705). Browsers that have one then ask their user for it.
	ClientCertificates string `json:"client_certificates"`
	// ClientCA is a PEM file of those who issue the certificates of
	// tls_client_auth. Empty: only self_signed_tls_client_auth is possible.
	ClientCA Path `json:"client_ca"`
}

// Request is the value of TLS.ClientCertificates that asks for them.
const Request = "request"

// On tells whether the listener speaks TLS.
func (t TLS) On() bool { return t.Certificate != "" }

// ClientCAs reads ClientCA; nil when there is none.
func (t TLS) ClientCAs() (*x509.CertPool, error) {
	if t.ClientCA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(string(t.ClientCA))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", t.ClientCA)
	}
	return pool, nil
}

// Ops is the listener for health and metrics.
type Ops struct {
	Address string `json:"address"` // Off: there is none
}

// Off is the address of a listener that is not opened.
const Off = "off"

// The drivers of Store.
const (
	Embedded = "embedded" // one machine, one process, one file
	Mongo    = "mongo"    // any number of gateways
)

// Store says where records are kept.
type Store struct {
	Driver   string `json:"driver"`
	Path     Path   `json:"path"`     // of the embedded driver
	URI      Secret `json:"uri"`      // of the mongo driver
	Database string `json:"database"` // of the mongo driver
}

// Keys names the file of the ring that seals secrets in the store.
type Keys struct {
	File Path `json:"file"`
}

// Session holds how long people stay signed in.
type Session struct {
	Idle     store.Duration `json:"idle"`     // without a request
	Absolute store.Duration `json:"absolute"` // whatever they do
	StepUp   store.Duration `json:"step_up"`  // how young a sign-in must be for what adds or removes a way to sign in
	Cached   int            `json:"cached"`   // sessions kept in memory
}

// Limits protect the gateway itself; what an app may receive is a setting of
// its route.
type Limits struct {
	Body                 Size     `json:"body"`                   // of a request to the gateway's own addresses
	Header               Size     `json:"header"`                 // request line and headers of any request
	Connections          int      `json:"connections"`            // open at once
	ConnectionsPerClient int      `json:"connections_per_client"` // of one address, trusted proxies and loopback excepted; 0: no limit
	Timeouts             Timeouts `json:"timeouts"`
	Hashing              Hashes   `json:"hashing"`
}

// Timeouts end connections of clients that keep the gateway waiting.
type Timeouts struct {
	Header store.Duration `json:"header"` // from the first byte of a request to the end of its headers
	Body   store.Duration `json:"body"`   // between two pieces of a request body
	Write  store.Duration `json:"write"`  // until a client takes one piece of an answer
	Idle   store.Duration `json:"idle"`   // between two requests
}

// Hashes bounds password hashing, which is slow on purpose.
type Hashes struct {
	Parallel int            `json:"parallel"` // at once; 0: one a processor
	Queue    int            `json:"queue"`    // waiting, of all tenants
	Wait     store.Duration `json:"wait"`     // the longest, then 503
}

// Egress bounds where the gateway itself may call.
type Egress struct {
	Allow []Network `json:"allow"` // private networks besides the public ones
}

// Extensions holds the origin for pages that this project did not write.
type Extensions struct {
	BaseURL string `json:"base_url"` // empty: no plugin may have pages
}

// Log says what is logged and how; logs go to standard error.
type Log struct {
	Level  string `json:"level"`
	Format string `json:"format"`
}

// Host claims a host for a workspace, as a route does, without a route.
type Host struct {
	Host      string `json:"host"`
	Tenant    string `json:"tenant"`
	Workspace string `json:"workspace"`
}

// Route is a protected app that the file sets up. It cannot be changed by the
// API. Fields that are not given have the defaults of route.Route.
type Route struct {
	Tenant             string             `json:"tenant"`
	Workspace          string             `json:"workspace"`
	Name               string             `json:"name"`
	Host               string             `json:"host"`
	PathPrefix         string             `json:"path_prefix"`
	Upstream           string             `json:"upstream"`
	Policy             route.Policy       `json:"policy"`
	Credentials        []route.Credential `json:"credentials"`
	Headers            route.Headers      `json:"headers"`
	Assertion          bool               `json:"assertion"`
	PreserveHost       bool               `json:"preserve_host"`
	StripPrefix        bool               `json:"strip_prefix"`
	MaxBody            Size               `json:"max_body"`
	Timeouts           route.Timeouts     `json:"timeouts"`
	API                bool               `json:"api"`
	AllowAmbiguousPath bool               `json:"allow_ambiguous_path"`
	WhenStale          route.Stale        `json:"when_stale"`
	Upgrades           []string           `json:"upgrades"`
	AllowedOrigins     []string           `json:"allowed_origins"`
}

// Record returns the route as the route package keeps it, in normal form.
func (r Route) Record() route.Route {
	return route.Route{
		Tenant: r.Tenant, Workspace: r.Workspace, Source: route.FromFile, Name: r.Name,
		Host: r.Host, PathPrefix: r.PathPrefix, Upstream: r.Upstream,
		Policy: r.Policy, Credentials: r.Credentials, Headers: r.Headers, Assertion: r.Assertion,
		PreserveHost: r.PreserveHost, StripPrefix: r.StripPrefix, MaxBody: int64(r.MaxBody), Timeouts: r.Timeouts,
		API: r.API, AllowAmbiguousPath: r.AllowAmbiguousPath, WhenStale: r.WhenStale, Upgrades: r.Upgrades,
		AllowedOrigins: r.AllowedOrigins,
	}.Normal()
}

// Default returns what an empty file means, apart from the paths that Finish
// derives from DataDir.
func Default() Config {
	return Config{
		BaseURL:  "http://localhost:8080",
		Listen:   Listen{Public: Public{Address: "127.0.0.1:8080"}, Ops: Ops{Address: "127.0.0.1:9090"}},
		DataDir:  "gatepost-data",
		Store:    Store{Driver: Embedded, Database: "gatepost"},
		Mail:     Mail{Driver: NoMail, From: "Gatepost <gatepost@localhost>", SMTP: SMTP{Security: notify.StartTLS}},
		SMS:      SMS{Driver: NoSMS},
		Messages: Messages{Limits: notify.DefaultLimits()},
		Session: Session{
			Idle:     store.Duration(8 * time.Hour),
			Absolute: store.Duration(24 * time.Hour),
			StepUp:   store.Duration(5 * time.Minute),
			Cached:   100_000,
		},
		MaxStale: store.Duration(10 * time.Second),
		Limits: Limits{
			Body: 1 << 20, Header: 32 << 10, Connections: 10_000,
			Timeouts: Timeouts{
				Header: store.Duration(15 * time.Second),
				Body:   store.Duration(time.Minute),
				Write:  store.Duration(time.Minute),
				Idle:   store.Duration(90 * time.Second),
			},
			Hashing: Hashes{Queue: 64, Wait: store.Duration(2 * time.Second)},
		},
		Log: Log{Level: "info", Format: "text"},
	}
}
