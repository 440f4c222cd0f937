package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certify writes a new certificate and its key, and returns what trusts it.
func certify(t *testing.T, dir string, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(leaf)
	return pool
}

// shows makes a new handshake and wants the certificate with this serial.
func (g *gate) shows(ctx context.Context, pool *x509.CertPool, serial int64) error {
	d := tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: "localhost"}}
	conn, err := d.DialContext(ctx, "tcp", g.Listen)
	if err != nil {
		return err
	}
	defer conn.Close()
	if got := conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != serial {
		return fmt.Errorf("the certificate has serial %d, want %d", got, serial)
	}
	return nil
}

// TestTLS: new certificate files count from the next handshake on; a broken file
// changes nothing, and neither disturbs a connection.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	first := certify(t, dir, 1)
	g := startServeIn(t, dir, `
base_url: https://localhost:8443
data_dir: data
listen:
  public: {address: 127.0.0.1:0, tls: {certificate: cert.pem, key: key.pem}}
  ops: {address: 127.0.0.1:0}
`)
	tr := g.transport()
	tr.TLSClientConfig = &tls.Config{RootCAs: first}
	old := &http.Client{Transport: tr, Timeout: 20 * time.Second}
	resp, body := get(t, old, g.setupLink(t))
	if resp.StatusCode != http.StatusOK || resp.TLS.PeerCertificates[0].SerialNumber.Int64() != 1 {
		t.Fatalf("%d\n%s", resp.StatusCode, body)
	}

	second := certify(t, dir, 2)
	eventually(t, "the second certificate", func() error { return g.shows(t.Context(), second, 2) })
	write(t, filepath.Join(dir, "cert.pem"), "this is no certificate")
	eventually(t, "the broken file to be noticed", func() error {
		if err := g.shows(t.Context(), second, 2); err != nil {
			t.Fatalf("with a broken file: %v", err)
		}
		if !strings.Contains(g.out.String(), "the new TLS certificate cannot be used; the old one stays") {
			return fmt.Errorf("the log says\n%s", g.out)
		}
		return nil
	})
	third := certify(t, dir, 3)
	eventually(t, "the third certificate", func() error { return g.shows(t.Context(), third, 3) })

	if resp, _ = get(t, old, g.BaseURL+"/default/admin/app"); resp.TLS.PeerCertificates[0].SerialNumber.Int64() != 1 {
		t.Error("the connection of the beginning was closed")
	}
}
