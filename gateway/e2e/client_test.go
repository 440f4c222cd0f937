package e2e_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// An unmodified client: coreos/go-oidc with golang.org/x/oauth2.
func TestForeignOpenIDClient(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	ctx := oidc.ClientContext(context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: d.transport()}), &http.Client{Transport: d.transport()})
	issuer := d.BaseURL + "/" + d.Tenant + "/" + d.Workspace
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		t.Fatal(err)
	}
	conf := d.Clients["confidential"]
	const redirect = "http://127.0.0.1:5/callback"
	o := oauth2.Config{
		ClientID: conf.ClientID, ClientSecret: conf.ClientSecret, Endpoint: provider.Endpoint(), RedirectURL: redirect,
		Scopes: []string{oidc.ScopeOpenID, "profile", "email", oidc.ScopeOfflineAccess},
	}
	verifier := oauth2.GenerateVerifier()
	c := d.browser(t)
	var back *url.URL
	c.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), redirect) {
			back = r.URL
			return errStop
		}
		return nil
	}
	resp, body := get(t, c, o.AuthCodeURL("state", oidc.Nonce("nonce"), oauth2.S256ChallengeOption(verifier)))
	action, fields, err := form(resp.Request.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	fields.Set("identifier", d.Users[0].Identifier)
	fields.Set("password", d.Users[0].Password)
	if last, err := c.PostForm(action, fields); err == nil {
		t.Fatalf("no redirect: %s", text(t, last))
	}
	set, err := o.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := set.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: conf.ClientID}).Verify(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	if id.Nonce != "nonce" || id.VerifyAccessToken(set.AccessToken) != nil {
		t.Errorf("nonce %q, at_hash %v", id.Nonce, id.VerifyAccessToken(set.AccessToken))
	}
	info, err := provider.UserInfo(ctx, o.TokenSource(ctx, set))
	if err != nil || info.Email != "alice@example.com" || info.Subject != id.Subject || !info.EmailVerified {
		t.Errorf("userinfo: %+v %v", info, err)
	}
	old := set.RefreshToken
	next, err := o.TokenSource(ctx, &oauth2.Token{RefreshToken: old}).Token()
	if err != nil || next.RefreshToken == old || next.RefreshToken == "" {
		t.Fatalf("refresh: %v", err)
	}
	if _, err := o.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier)); err == nil {
		t.Error("a code was redeemed twice")
	}
	if _, err := o.TokenSource(ctx, &oauth2.Token{RefreshToken: next.RefreshToken}).Token(); err == nil {
		t.Error("the replayed code did not end the grant")
	}
	if _, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(next)); err == nil {
		t.Error("the replayed code did not end the access tokens")
	}
}
