package client_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatepost/gatepost/gateway/internal/client"
)

// certificate makes a certificate that parent signed, or the key itself.
func certificate(t *testing.T, key crypto.Signer, parent *x509.Certificate, by crypto.Signer, alter func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "robot", Organization: []string{"Acme, Inc."}, Country: []string{"GB"}},
		NotBefore: clock.Add(-time.Hour), NotAfter: clock.Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	if alter != nil {
		alter(c)
	}
	if parent == nil {
		parent, by = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func authority(c *x509.Certificate) {
	c.IsCA, c.KeyUsage, c.Subject = true, x509.KeyUsageCertSign, pkix.Name{CommonName: "CA"}
}

// TestProveSubject is RFC 8705, section 2.1.
func TestProveSubject(t *testing.T) {
	t.Parallel()
	caKey, otherKey, key := ecKey(t), ecKey(t), ecKey(t)
	ca, other := certificate(t, caKey, nil, nil, authority), certificate(t, otherKey, nil, nil, authority)
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	uri, err := url.Parse("spiffe://acme/robot")
	if err != nil {
		t.Fatal(err)
	}
	names := func(c *x509.Certificate) {
		c.DNSNames, c.EmailAddresses, c.URIs = []string{"robot.example"}, []string{"robot@example.com"}, []*url.URL{uri}
		c.IPAddresses = []net.IP{net.ParseIP("192.0.2.7")}
	}
	leaf := certificate(t, key, ca, caKey, names)
	dn := client.Client{TLSSubjectDN: `CN=robot,O=Acme\, Inc.,C=GB`}
	for name, tc := range map[string]struct {
		c     client.Client
		cert  *x509.Certificate
		right bool
	}{
		"subject":           {dn, leaf, true},
		"spaces and case":   {client.Client{TLSSubjectDN: `cn=robot, o=Acme\, Inc., c=GB`}, leaf, true},
		"host":              {client.Client{TLSSANDNS: "Robot.example"}, leaf, true},
		"email":             {client.Client{TLSSANEmail: "robot@example.com"}, leaf, true},
		"address":           {client.Client{TLSSANIP: "192.0.2.7"}, leaf, true},
		"URI":               {client.Client{TLSSANURI: "spiffe://acme/robot"}, leaf, true},
		"a part of it":      {client.Client{TLSSubjectDN: "CN=robot"}, leaf, false},
		"another order":     {client.Client{TLSSubjectDN: `C=GB,O=Acme\, Inc.,CN=robot`}, leaf, false},
		"a comma that cuts": {client.Client{TLSSubjectDN: `CN=robot,O=Acme, Inc.,C=GB`}, leaf, false},
		"another host":      {client.Client{TLSSANDNS: "example"}, leaf, false},
		"another URI":       {client.Client{TLSSANURI: "spiffe://acme/other"}, leaf, false},
		"no name":           {client.Client{}, leaf, false},
		"two names":         {client.Client{TLSSANDNS: "robot.example", TLSSANEmail: "robot@example.com"}, leaf, false},
		"another authority": {dn, certificate(t, key, other, otherKey, names), false},
		"its own authority": {dn, certificate(t, key, nil, nil, names), false},
		"expired":           {dn, certificate(t, key, ca, caKey, func(c *x509.Certificate) { c.NotAfter = clock.Add(-time.Minute) }), false},
		"a server's": {dn, certificate(t, key, ca, caKey, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}), false},
	} {
		if err := tc.c.ProveSubject([]*x509.Certificate{tc.cert}, roots, clock); (err == nil) != tc.right {
			t.Errorf("%s: %v", name, err)
		}
	}
	if dn.ProveSubject(nil, roots, clock) == nil || dn.ProveSubject([]*x509.Certificate{leaf}, nil, clock) == nil {
		t.Error("no certificate, or no authority, is taken")
	}
}

// TestVerifyCertificate is RFC 8705, section 2.2.
func TestVerifyCertificate(t *testing.T) {
	t.Parallel()
	key, other := ecKey(t), ecKey(t)
	cert, again := certificate(t, key, nil, nil, nil), certificate(t, key, nil, nil, func(c *x509.Certificate) { c.SerialNumber = big.NewInt(2) })
	late := certificate(t, key, nil, nil, func(c *x509.Certificate) { c.NotAfter = clock.Add(-time.Second) })
	bare := public("1", key)
	whole := jose.JSONWebKey{Key: key.Public(), Certificates: []*x509.Certificate{cert}}
	for name, tc := range map[string]struct {
		key   jose.JSONWebKey
		cert  *x509.Certificate
		right bool
	}{
		"its key":                 {bare, cert, true},
		"its certificate":         {whole, cert, true},
		"another, of its key":     {whole, again, false},
		"another key":             {public("1", other), cert, false},
		"another key's":           {bare, certificate(t, other, nil, nil, nil), false},
		"its key, but it is over": {bare, late, false},
	} {
		c := &client.Client{JWKS: keySet(t, tc.key)}
		if err := newKeys(t, nil).VerifyCertificate(t.Context(), c, []*x509.Certificate{tc.cert}, clock); (err == nil) != tc.right {
			t.Errorf("%s: %v", name, err)
		}
	}
	if newKeys(t, nil).VerifyCertificate(t.Context(), &client.Client{JWKS: keySet(t, bare)}, nil, clock) == nil {
		t.Error("no certificate is taken")
	}
}
