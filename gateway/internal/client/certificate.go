package client

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// CertificateThumbprint is the x5t#S256 of a certificate (RFC 8705, section 3.1).
func CertificateThumbprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

var errCertificate = errors.New("the certificate is not the client's")

// ProveSubject tells whether a certificate, of which possession has been proven,
// is trusted by roots and has the one name that the client registered (RFC 8705,
// section 2.1). chain begins with the certificate. The error is for the log.
func (c *Client) ProveSubject(chain []*x509.Certificate, roots *x509.CertPool, now time.Time) error {
	if len(chain) == 0 || roots == nil {
		return fmt.Errorf("%w: there is none, or no listen.public.tls.client_ca", errCertificate)
	}
	between := x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errCertificate, err)
	}
	if !c.named(chain[0]) {
		return fmt.Errorf("%w: it is of %s", errCertificate, chain[0].Subject)
	}
	return nil
}

// named compares a certificate with the name that the client registered. Exactly
// one may be registered; with none or several no certificate fits.
func (c *Client) named(cert *x509.Certificate) bool {
	if len(c.tlsNames()) != 1 {
		return false
	}
	switch {
	case c.TLSSubjectDN != "":
		return sameDN(cert.RawSubject, c.TLSSubjectDN)
	case c.TLSSANDNS != "":
		return slices.ContainsFunc(cert.DNSNames, func(n string) bool { return strings.EqualFold(n, c.TLSSANDNS) })
	case c.TLSSANEmail != "":
		return slices.Contains(cert.EmailAddresses, c.TLSSANEmail)
	case c.TLSSANIP != "":
		want, err := netip.ParseAddr(c.TLSSANIP)
		return err == nil && slices.ContainsFunc(cert.IPAddresses, func(ip net.IP) bool {
			got, ok := netip.AddrFromSlice(ip)
			return ok && got.Unmap() == want.Unmap()
		})
	}
	for _, uri := range cert.URIs {
		if uri.String() == c.TLSSANURI {
			return true
		}
	}
	return false
}

// tlsNames are the members of tls_client_auth that the client has.
func (c *Client) tlsNames() []string {
	var names []string
	for _, m := range []struct{ name, value string }{
		{"tls_client_auth_subject_dn", c.TLSSubjectDN},
		{"tls_client_auth_san_dns", c.TLSSANDNS},
		{"tls_client_auth_san_email", c.TLSSANEmail},
		{"tls_client_auth_san_ip", c.TLSSANIP},
		{"tls_client_auth_san_uri", c.TLSSANURI},
	} {
		if m.value != "" {
			names = append(names, m.name)
		}
	}
	return names
}

// sameDN compares a subject with its text form (RFC 4514). Spaces after the
// commas and the case of attribute types do not count.
func sameDN(raw []byte, text string) bool {
	var rdn pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &rdn); err != nil || len(rest) > 0 || len(rdn) == 0 {
		return false
	}
	return slices.Equal(parts(rdn.String()), parts(text))
}

// parts cuts a distinguished name at the commas and plus signs that are not
// escaped.
func parts(dn string) []string {
	var list []string
	begin, escaped := 0, false
	for i, r := range dn + "," {
		switch {
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
		case r == ',' || r == '+':
			typ, value, _ := strings.Cut(strings.TrimLeft(dn[begin:i], " "), "=")
			list = append(list, strings.ToUpper(strings.TrimSpace(typ))+"="+value)
			begin = i + 1
		}
	}
	return list
}

// VerifyCertificate tells whether a certificate, of which possession has been
// proven, is one of the client's registered keys (RFC 8705, section 2.2). The
// error is for the log.
func (k *Keys) VerifyCertificate(ctx context.Context, c *Client, chain []*x509.Certificate, now time.Time) error {
	if len(chain) == 0 {
		return fmt.Errorf("%w: there is none", errCertificate)
	}
	cert := chain[0]
	if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return fmt.Errorf("%w: it is valid from %s to %s", errCertificate, cert.NotBefore, cert.NotAfter)
	}
	keys, err := k.all(ctx, c)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if len(key.Certificates) > 0 {
			if bytes.Equal(key.Certificates[0].Raw, cert.Raw) {
				return nil
			}
			continue
		}
		if public, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); ok && public.Equal(key.Key) {
			return nil
		}
	}
	return errCertificate
}
