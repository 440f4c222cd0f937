package signin_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/gatepost/gatepost/gateway/internal/client"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/flag"
	"github.com/gatepost/gatepost/gateway/internal/signin"
	"github.com/gatepost/gatepost/gateway/internal/signin/signintest"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
)

// robot is a client that signs assertions.
type robot struct {
	*signintest.World
	client.Client
	key *ecdsa.PrivateKey
	n   atomic.Int64
}

// newRobot adds a client that authenticates in a way, with a key of its own.
func newRobot(t *testing.T, w *signintest.World, method string, alter func(*client.Client)) *robot {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.OK(err)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Use: "sig"}}})
	w.OK(err)
	c := client.Client{
		TenantID: w.Demo.Tenant, WorkspaceID: w.Demo.Workspace, TokenEndpointAuthMethod: method, JWKS: set,
		GrantTypes: []string{"client_credentials"}, ResponseTypes: []string{},
	}
	if alter != nil {
		alter(&c)
	}
	c, err = w.Clients.Clients.Create(t.Context(), c)
	w.OK(err)
	return &robot{World: w, Client: c, key: key}
}

func (r *robot) issuer() string { return r.Base + "/default/default" }

// sign makes an assertion of the robot with what more replaces.
func (r *robot) sign(alg jose.SignatureAlgorithm, key any, more map[string]any) string {
	r.T.Helper()
	now := r.Now()
	claims := map[string]any{
		"iss": r.ClientID, "sub": r.ClientID, "aud": r.issuer(), "exp": now.Add(time.Minute).Unix(), "iat": now.Unix(),
		"jti": fmt.Sprint("j", r.n.Add(1)),
	}
	for name, v := range more {
		claims[name] = v
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, nil)
	r.OK(err)
	raw, err := jwt.Signed(s).Claims(claims).Serialize()
	r.OK(err)
	return raw
}

func (r *robot) try(raw string) (*client.Client, error) {
	return r.Signin.AuthenticateClient(r.T.Context(), r.Home(), signin.Credentials{
		Assertion: raw, Endpoint: r.issuer() + "/par",
	})
}

const unknown = "The client is unknown or its credentials are wrong."

func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := newRobot(t, w, client.AuthKeyJWT, nil)
	for _, aud := range []any{r.issuer(), r.issuer() + "/oauth2/token", r.issuer() + "/par", []string{"https://other.example", r.issuer()}} {
		c, err := r.try(r.sign(jose.ES256, r.key, map[string]any{"aud": aud}))
		if err != nil || c.ClientID != r.ClientID {
			t.Errorf("aud %v: %v", aud, err)
		}
	}
	other := newRobot(t, w, client.AuthKeyJWT, nil)
	basic := newRobot(t, w, client.AuthBasic, nil)
	off := newRobot(t, w, client.AuthKeyJWT, func(c *client.Client) { c.ClientStatus = client.StatusInactive })
	picky := newRobot(t, w, client.AuthKeyJWT, func(c *client.Client) { c.TokenEndpointAuthSigningAlg = "PS256" })
	die := map[string]string{
		"another client's key":           r.sign(jose.ES256, other.key, nil),
		"nobody":                         r.sign(jose.ES256, r.key, map[string]any{"iss": "x", "sub": "x"}),
		"the proxy's client":             r.sign(jose.ES256, r.key, map[string]any{"iss": signin.ProxyClient, "sub": signin.ProxyClient}),
		"a client that uses Basic":       basic.sign(jose.ES256, basic.key, nil),
		"an inactive client":             off.sign(jose.ES256, off.key, nil),
		"another algorithm than its own": picky.sign(jose.ES256, picky.key, nil),
		"its public set as a secret":     r.sign(jose.HS256, []byte(r.JWKS), nil),
		"its id as a secret":             r.sign(jose.HS256, []byte(strings.Repeat(r.ClientID, 2)), nil),
	}
	for name, raw := range die {
		_, err := r.try(raw)
		wantCode(t, err, "invalid_client", name)
		wantKind(t, err, fault.Unauthenticated, name)
		if say := fault.Read(err).Public; say != unknown {
			t.Errorf("%s: %s", name, say)
		}
	}
	for name, raw := range map[string]string{
		"another workspace's issuer": r.sign(jose.ES256, r.key, map[string]any{"aud": r.Base + "/default/admin"}),
		"expired":                    r.sign(jose.ES256, r.key, map[string]any{"exp": r.Now().Add(-time.Minute).Unix()}),
		"for a day":                  r.sign(jose.ES256, r.key, map[string]any{"exp": r.Now().Add(24 * time.Hour).Unix()}),
		"without a jti":              r.sign(jose.ES256, r.key, map[string]any{"jti": ""}),
		"rubbish":                    "x.y.z",
		"too long":                   strings.Repeat("x", 17<<10),
	} {
		_, err := r.try(raw)
		wantCode(t, err, "invalid_client", name)
		if say := fault.Read(err).Public; say == unknown {
			t.Errorf("%s: the answer helps nobody", name)
		}
	}
	_, err := w.Signin.AuthenticateClient(t.Context(), w.Home(), signin.Credentials{Client: other.ClientID, Assertion: r.sign(jose.ES256, r.key, nil)})
	wantCode(t, err, "invalid_client", "two names")
	_, err = w.Signin.AuthenticateClient(t.Context(), w.Space(tenant.Admin), signin.Credentials{
		Assertion: r.sign(jose.ES256, r.key, map[string]any{"aud": r.Base + "/default/admin"}),
	})
	wantCode(t, err, "invalid_client", "in another workspace")
}

// TestAssertionOnce: of a hundred that send one assertion at the same time one
// gets in, and nobody later.
func TestAssertionOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := newRobot(t, w, client.AuthKeyJWT, nil)
	raw := r.sign(jose.ES256, r.key, nil)
	forged := r.sign(jose.ES256, newRobot(t, w, client.AuthKeyJWT, nil).key, map[string]any{"jti": "j1"})
	if _, err := r.try(forged); err == nil {
		t.Error("a forged assertion is taken")
	}
	var won atomic.Int64
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if _, err := r.try(raw); err == nil {
				won.Add(1)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Errorf("%d got in", won.Load())
	}
	w.Pass(80 * time.Second) // within the leeway
	_, err := r.try(raw)
	wantCode(t, err, "invalid_client", "later")
	if _, err := w.Signin.Vouch(t.Context(), w.Home(), &r.Client, r.sign(jose.ES256, r.key, map[string]any{"jti": "j1", "exp": w.Now().Add(time.Minute).Unix()})); err == nil {
		t.Error("as a grant it counts again")
	}
}

func TestClientSecretJWT(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := newRobot(t, w, client.AuthSecretJWT, nil)
	if _, err := r.try(r.sign(jose.HS256, []byte(r.ClientSecret), nil)); err != nil {
		t.Fatal(err)
	}
	next, _, err := w.Clients.Clients.Rotate(t.Context(), w.Demo.Tenant, r.ClientID, time.Hour, 0)
	w.OK(err)
	for _, secret := range []string{next, r.ClientSecret} {
		if _, err := r.try(r.sign(jose.HS256, []byte(secret), nil)); err != nil {
			t.Errorf("after a rotation: %v", err)
		}
	}
	for name, raw := range map[string]string{
		"another secret":     r.sign(jose.HS256, []byte(strings.Repeat("x", 43)), nil),
		"its key":            r.sign(jose.ES256, r.key, nil),
		"its public key set": r.sign(jose.HS256, []byte(r.JWKS), nil),
	} {
		_, err := r.try(raw)
		wantCode(t, err, "invalid_client", name)
	}
	if _, err := w.Signin.AuthenticateClient(t.Context(), w.Home(), signin.Credentials{Client: r.ClientID, Secret: next, Method: client.AuthBasic}); err == nil {
		t.Error("the secret itself is taken")
	}
	w.Pass(2 * time.Hour)
	if _, err := r.try(r.sign(jose.HS256, []byte(r.ClientSecret), nil)); err == nil {
		t.Error("a secret that has ended is taken")
	}
	w.OK(w.Clients.Clients.DropSealed(t.Context(), w.Demo.Tenant))
	_, err = r.try(r.sign(jose.HS256, []byte(next), nil))
	wantCode(t, err, "invalid_client", "only a hash is kept")
	if say := fault.Read(err).Public; !strings.Contains(say, "client_secrets_stored_as_one_way_hash") {
		t.Error(say)
	}
}

// TestVouch is RFC 7523, section 2.1: an assertion as a grant.
func TestVouch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, other := newRobot(t, w, client.AuthBasic, nil), newRobot(t, w, client.AuthKeyJWT, nil)
	vouch := func(raw string) error {
		_, err := w.Signin.Vouch(t.Context(), w.Home(), &r.Client, raw)
		return err
	}
	right := r.sign(jose.ES256, r.key, nil)
	if err := vouch(right); err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{
		"again": right, "another key": r.sign(jose.ES256, other.key, nil), "another client's": other.sign(jose.ES256, other.key, nil),
		"a person":   r.sign(jose.ES256, r.key, map[string]any{"sub": signintest.Alice}),
		"its secret": r.sign(jose.HS256, []byte(r.ClientSecret), nil),
		"expired":    r.sign(jose.ES256, r.key, map[string]any{"exp": 1}), "rubbish": "x",
	} {
		wantCode(t, vouch(raw), "invalid_grant", name)
	}
}

// TestMethodsOfTheWorkspace: what the workspace does not allow is refused, with
// the name of the setting.
func TestMethodsOfTheWorkspace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := newRobot(t, w, client.AuthKeyJWT, nil)
	id, secret := w.Demo.Clients.Confidential.ClientID, w.Demo.Clients.Confidential.ClientSecret
	space, err := w.Tenants.Workspaces.Get(t.Context(), tenant.Key{Tenant: w.Demo.Tenant, Workspace: w.Demo.Workspace})
	w.OK(err)
	space.TokenEndpointAuthMethods, space.TokenEndpointAuthnMethods = []string{client.AuthPost, client.AuthTLS}, nil
	_, err = w.Tenants.Workspaces.Update(t.Context(), space)
	w.OK(err)
	for name, cr := range map[string]signin.Credentials{
		"Basic": {Client: id, Secret: secret, Method: client.AuthBasic}, "none": {Client: "demo-public", Method: client.AuthNone},
		"an assertion": {Assertion: r.sign(jose.ES256, r.key, nil)},
	} {
		_, err := w.Signin.AuthenticateClient(t.Context(), w.Home(), cr)
		wantCode(t, err, "invalid_client", name)
		if say := fault.Read(err).Public; !strings.Contains(say, "token_endpoint_auth_methods") {
			t.Errorf("%s: %s", name, say)
		}
	}
	if got := w.Signin.AuthMethods(w.Home()); !slices.Equal(got, []string{client.AuthPost}) {
		t.Errorf("%v", got)
	}
}

// selfSigned is a certificate of a key for itself.
func selfSigned(t *testing.T, w *signintest.World, key crypto.Signer) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "robot"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: w.Now().Add(-time.Hour), NotAfter: w.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	w.OK(err)
	made, err := x509.ParseCertificate(der)
	w.OK(err)
	return made
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	own := newRobot(t, w, client.AuthOwnTLS, func(c *client.Client) { c.CertificateBoundTokens = true })
	named := newRobot(t, w, client.AuthTLS, func(c *client.Client) { c.TLSSubjectDN = "CN=robot" })
	cert, other := selfSigned(t, w, own.key), selfSigned(t, w, named.key)
	try := func(r *robot, certs ...*x509.Certificate) (*client.Client, error) {
		return w.Signin.AuthenticateClient(t.Context(), w.Home(), signin.Credentials{Client: r.ClientID, Method: client.AuthNone, Certificates: certs})
	}
	c, err := try(own, cert)
	if err != nil || c.Thumbprint != client.CertificateThumbprint(cert) || w.Client(own.ClientID).Thumbprint != "" {
		t.Errorf("%+v %v", c, err)
	}
	for name, err := range map[string]error{
		"no certificate": second(try(own)), "another's": second(try(own, other)), "no authority is set": second(try(named, other)),
		"a public client's word": second(try(newRobot(t, w, client.AuthBasic, nil), cert)),
	} {
		wantCode(t, err, "invalid_client", name)
		if say := fault.Read(err).Public; say != unknown {
			t.Errorf("%s: %s", name, say)
		}
	}
	w.Signin.ClientCAs = x509.NewCertPool()
	w.Signin.ClientCAs.AddCert(other)
	if c, err := try(named, other); err != nil || c.Thumbprint != "" {
		t.Errorf("%+v %v", c, err)
	}
	wantCode(t, second(try(named, cert)), "invalid_client", "another authority's")
}

func second(_ *client.Client, err error) error { return err }

// TestAssertionAlgorithmOff: an algorithm that the workspace took off its list
// signs nothing any more, neither an authentication nor a grant.
func TestAssertionAlgorithmOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := newRobot(t, w, client.AuthKeyJWT, nil)
	v, err := w.Tenants.Workspaces.Get(t.Context(), tenant.Key{Tenant: w.Demo.Tenant, Workspace: w.Demo.Workspace})
	w.OK(err)
	v.TokenEndpointAuthSigningAlgs = []string{"PS256"}
	_, err = w.Tenants.Workspaces.Update(t.Context(), v)
	w.OK(err)
	_, err = r.try(r.sign(jose.ES256, r.key, nil))
	wantCode(t, err, "invalid_client", "authentication")
	_, err = w.Signin.Vouch(t.Context(), w.Home(), &r.Client, r.sign(jose.ES256, r.key, nil))
	wantCode(t, err, "invalid_grant", "grant")
}

// TestSecretsAsHashes: the flag forgets the secrets that there are, and those to
// come; what clients know goes on.
func TestSecretsAsHashes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	demo := w.Demo.Clients.Confidential
	reveal := func() string {
		c, err := w.Clients.Clients.Get(t.Context(), w.Demo.Tenant, demo.ClientID)
		w.OK(err)
		w.OK(w.Clients.Clients.Reveal(t.Context(), &c))
		return c.ClientSecret
	}
	if reveal() != demo.ClientSecret {
		t.Error("without the flag the secret is hidden")
	}
	w.OK(w.Flags.Set(t.Context(), w.Demo.Tenant, flag.ClientSecretsOneWay, true, "test"))
	if got := reveal(); got != "" {
		t.Errorf("shown: %q", got)
	}
	cr := signin.Credentials{Client: demo.ClientID, Secret: demo.ClientSecret, Method: client.AuthBasic}
	if _, err := w.Signin.AuthenticateClient(t.Context(), w.Home(), cr); err != nil {
		t.Error(err)
	}
	w.OK(w.Flags.Set(t.Context(), w.Demo.Tenant, flag.ClientSecretsOneWay, false, "test"))
	if got := reveal(); got != "" {
		t.Errorf("off again: %q", got)
	}
}
