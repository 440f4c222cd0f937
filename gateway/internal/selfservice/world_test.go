package selfservice_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/pquerna/otp/totp"

	"github.com/gatepost/gatepost/gateway/internal/audit"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/limit"
	"github.com/gatepost/gatepost/gateway/internal/pool"
	"github.com/gatepost/gatepost/gateway/internal/pool/code"
	"github.com/gatepost/gatepost/gateway/internal/pool/credential"
	"github.com/gatepost/gatepost/gateway/internal/selfservice"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
)

const (
	base  = "http://localhost:8080"
	alice = signintest.Alice
	bob   = "bob@example.com"
	carol = "carol@example.com"
	good  = "a-good-pass-word-9"
)

type world struct {
	*signintest.World
	pool string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := signintest.New(t, base)
	return &world{w, w.Demo.PoolID}
}

// setPool changes the demo's pool.
func (w *world) setPool(alter func(*pool.Pool)) {
	w.T.Helper()
	p := w.owner()
	alter(&p)
	_, err := w.Pools.Pools.Update(w.T.Context(), w.Demo.Tenant, pool.Input{Pool: p})
	w.OK(err)
}

func (w *world) owner() pool.Pool {
	w.T.Helper()
	p, err := w.Pools.Pools.Get(w.T.Context(), w.Demo.Tenant, w.pool)
	w.OK(err)
	return p
}

// from is a context of a try from an address.
func (w *world) from(ip string) context.Context {
	return limit.WithOrigin(w.T.Context(), limit.Origin{Network: limit.Network(netip.MustParseAddr(ip))})
}

// elsewhere is a context of a try from a network of its own.
func (w *world) elsewhere(i int) context.Context {
	return w.from(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}).String())
}

// create makes an active user with verified addresses.
func (w *world) create(name string, addresses ...pool.NewUserVerifiableAddress) pool.User {
	w.T.Helper()
	u, err := w.Pools.Users.Create(w.T.Context(), w.Demo.Tenant, w.pool, pool.NewUser{
		Status: pool.StatusActive, Identifiers: []pool.NewUserIdentifier{{Type: pool.Email, Identifier: name}}, VerifiableAddresses: addresses,
	})
	w.OK(err)
	return u
}

// register registers somebody and returns their code.
func (w *world) register(name string) (selfservice.Registered, string) {
	w.T.Helper()
	made, err := w.SelfService.Register(w.T.Context(), w.Demo.Tenant, w.pool, pool.Registration{Identifier: name}, true, selfservice.Delivery{})
	w.OK(err)
	return made, w.Mail.Last(name).Data.Code
}

// ask requests a code and returns it; empty when none was sent.
func (w *world) ask(t code.Type, name string) string {
	w.T.Helper()
	before := len(w.Mail.All())
	w.OK(w.SelfService.Request(w.T.Context(), w.Demo.Tenant, w.pool, t, selfservice.Who{Identifier: name}, selfservice.Delivery{}))
	if sent := w.Mail.All(); len(sent) > before {
		return sent[len(sent)-1].Data.Code
	}
	return ""
}

// reset ends a request for a new password.
func (w *world) reset(w2 selfservice.Who, typed, password string) error {
	_, err := w.SelfService.ResetPassword(w.T.Context(), w.Demo.Tenant, w.pool, w2, typed, password)
	return err
}

// status is a user's, by id.
func (w *world) byID(id string) pool.User {
	w.T.Helper()
	u, err := w.Pools.Users.Get(w.T.Context(), w.Demo.Tenant, w.pool, id)
	w.OK(err)
	return u
}

// events counts the audit events of a subject and action.
func (w *world) events(subject, action string) int {
	w.T.Helper()
	n := 0
	list, err := w.Audit.List(w.T.Context(), w.Demo.Tenant, w.Demo.Workspace, audit.Page{Limit: 100})
	w.OK(err)
	for _, e := range list {
		if e.Subject == subject && e.Action == action {
			n++
		}
	}
	return n
}

// wrong is another code than the right one.
func wrong(right string) string {
	last := right[len(right)-1]
	return right[:len(right)-1] + string('0'+(last-'0'+1)%10)
}

func (w *world) totp(secret string) string {
	w.T.Helper()
	c, err := totp.GenerateCode(secret, w.Now())
	w.OK(err)
	return c
}

// wantKind fails the test unless err is of a kind.
func wantKind(t testing.TB, err error, kind fault.Kind, what string) {
	t.Helper()
	if err == nil || !fault.Is(err, kind) {
		t.Errorf("%s: %v, want kind %d", what, err, kind)
	}
}

// wantSame fails the test unless err is the refusal of every code.
func wantSame(t testing.TB, err error, what string) {
	t.Helper()
	if !fault.Is(err, fault.Unauthenticated) || fault.Read(err).Public != fault.Read(code.ErrWrong).Public || fault.Read(err).Field != "" {
		t.Errorf("%s: %v, want the one refusal", what, err)
	}
}

// es256 is the private key of test passkeys (PKCS #8); see package credential.
const es256 = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAeh" +
	"RANCAASOUztvoL97RiW7MGZ8Aftgfvn4uKgP71swBihwMYeyo3PrHb3gMxg2bQafg6b1kABTxzYzywQbIcVeGobB9AC0"

// phone is a browser with an authenticator that may lie in every respect.
type phone struct {
	site virtualwebauthn.RelyingParty
	auth virtualwebauthn.Authenticator
	key  virtualwebauthn.Credential
}

func newPhone(t testing.TB) *phone {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(es256)
	if err != nil {
		t.Fatal(err)
	}
	return &phone{
		site: virtualwebauthn.RelyingParty{ID: "localhost", Origin: base},
		auth: virtualwebauthn.NewAuthenticator(), key: virtualwebauthn.NewCredentialWithImportedKey(virtualwebauthn.KeyTypeEC2, der),
	}
}

// make answers creation options.
func (p *phone) make(t testing.TB, options json.RawMessage) []byte {
	t.Helper()
	parsed, err := virtualwebauthn.ParseAttestationOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	return []byte(virtualwebauthn.CreateAttestationResponse(p.site, p.auth, p.key, *parsed))
}

// sign answers request options.
func (p *phone) sign(t testing.TB, options json.RawMessage) []byte {
	t.Helper()
	parsed, err := virtualwebauthn.ParseAssertionOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	return []byte(virtualwebauthn.CreateAssertionResponse(p.site, p.auth, p.key, *parsed))
}

// enrol gives a user a passkey of a new phone.
func (w *world) enrol(user string) (*phone, credential.Passkey) {
	w.T.Helper()
	p := newPhone(w.T)
	options, err := w.SelfService.BeginPasskey(w.T.Context(), w.Demo.Tenant, w.pool, user)
	w.OK(err)
	key, err := w.SelfService.FinishPasskey(w.T.Context(), w.Demo.Tenant, w.pool, user, p.make(w.T, options))
	w.OK(err)
	return p, key
}

const challengeLife = 5 * time.Minute
