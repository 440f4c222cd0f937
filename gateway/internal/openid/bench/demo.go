package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/web/load"
)

// demo is a running `gatepost demo`: what its demo.json says, the client that is
// measured, and a browser.
type demo struct {
	Listen    string `json:"listen"`
	BaseURL   string `json:"base_url"`
	Tenant    string `json:"tenant"`
	Workspace string `json:"workspace"`
	Users     []struct {
		Identifier string `json:"identifier"`
		Password   string `json:"password"`
	} `json:"users"`
	Clients map[string]struct {
		ID       string `json:"client_id"`
		Secret   string `json:"client_secret"`
		TokenURL string `json:"token_url"`
	} `json:"clients"`

	alg     string
	process *load.Process
	http    *http.Client
	client  struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
}

// tokens is an answer of a token endpoint.
type tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
}

const callback = "http://127.0.0.1:5/callback"

func (d *demo) issuer() string { return d.BaseURL + "/" + d.Tenant + "/" + d.Workspace }

// read reads demo.json and makes the browser.
func (d *demo) read(path string) error {
	raw, err := os.ReadFile(path) //nolint:gosec // in our own directory
	if err != nil {
		return err
	}
	jar, _ := cookiejar.New(nil) // never fails without options
	d.http = &http.Client{
		Jar: jar, Timeout: 20 * time.Second,
		Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, d.Listen) // localhost may be another address
		}},
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if strings.HasPrefix(r.URL.String(), callback) {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	return json.Unmarshal(raw, d)
}

// prepare lifts the rate limit, changes the kind of key where RS256 is measured,
// and makes the client.
func (d *demo) prepare(ctx context.Context) error {
	root, err := d.token(ctx, "root")
	if err != nil {
		return err
	}
	err = d.api(ctx, root, http.MethodPut, "/api/admin/tenants/"+d.Tenant+"/rate-limits/oauth2_token", `{"rate":1000000,"burst":1000000,"period":"1s"}`, nil)
	if err != nil {
		return err
	}
	admin, err := d.token(ctx, "admin")
	if err != nil {
		return err
	}
	home := "/api/admin/" + d.Tenant
	if d.alg == "RS256" { // a rotation makes the key that the next one puts to use
		for range 2 {
			if err := d.api(ctx, admin, http.MethodPost, home+"/servers/"+d.Workspace+"/keys/rotate?key_type=rsa", "", nil); err != nil {
				return err
			}
		}
	}
	return d.api(ctx, admin, http.MethodPost, home+"/clients", fmt.Sprintf(`{"authorization_server_id":%q,"client_name":"Bench","redirect_uris":[%q],"trusted":true,
		"grant_types":["authorization_code","refresh_token","client_credentials"],"token_endpoint_auth_method":"client_secret_basic",
		"scopes":["openid","email","offline_access","introspect_tokens"]}`, d.Workspace, callback), &d.client)
}

func (d *demo) token(ctx context.Context, client string) (string, error) {
	c := d.Clients[client]
	set, err := ask(ctx, d.http, c.TokenURL, c.ID, c.Secret, url.Values{"grant_type": {"client_credentials"}})
	return set.AccessToken, err
}

// api calls the administration API. into may be nil.
func (d *demo) api(ctx context.Context, token, method, path, body string, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, d.BaseURL+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	return do(d.http, r, nil, into)
}

// grant goes through an authorization code flow, and signs in the first time.
func (d *demo) grant(ctx context.Context) (tokens, error) {
	q := url.Values{"response_type": {"code"}, "client_id": {d.client.ID}, "redirect_uri": {callback}, "scope": {"openid email offline_access"}, "state": {"s"}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.issuer()+"/oauth2/authorize?"+q.Encode(), nil)
	if err != nil {
		return tokens{}, err
	}
	var page string
	var back place
	if err := do(d.http, r, &back, &page); err != nil {
		return tokens{}, err
	}
	if csrf := regexp.MustCompile(`name="csrf_token" value="([^"]+)"`).FindStringSubmatch(page); csrf != nil {
		form := url.Values{"csrf_token": {csrf[1]}, "identifier": {d.Users[0].Identifier}, "password": {d.Users[0].Password}}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, back.at.String(), strings.NewReader(form.Encode()))
		if err != nil {
			return tokens{}, err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", d.BaseURL)
		if err := do(d.http, r, &back, nil); err != nil {
			return tokens{}, err
		}
	}
	to, err := url.Parse(back.location)
	if err != nil || to.Query().Get("code") == "" {
		return tokens{}, errors.Join(fmt.Errorf("no code: %s", back.location), err)
	}
	return ask(ctx, d.http, d.issuer()+"/oauth2/token", d.client.ID, d.client.Secret, url.Values{
		"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {callback},
	})
}

// alive fails unless a token is active: an answer about a dead one is cheap.
func (d *demo) alive(ctx context.Context, token string) error {
	var v struct{ Active bool }
	err := post(ctx, d.http, d.issuer()+"/oauth2/introspect", d.client.ID, d.client.Secret, url.Values{"token": {token}}, &v)
	if err == nil && !v.Active {
		err = errors.New("the token is not active")
	}
	return err
}

// ask asks a token endpoint for tokens.
func ask(ctx context.Context, via *http.Client, endpoint, id, secret string, form url.Values) (tokens, error) {
	var set tokens
	err := post(ctx, via, endpoint, id, secret, form, &set)
	return set, err
}

// post sends a form as a client.
func post(ctx context.Context, via *http.Client, endpoint, id, secret string, form url.Values, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", basic(id, secret))
	return do(via, r, nil, into)
}

// signedBy fails unless client_credentials gives a JWT access token signed as it
// should be: what is compared is the same on both sides.
func signedBy(ctx context.Context, via *http.Client, endpoint, id, secret, alg string) error {
	set, err := ask(ctx, via, endpoint, id, secret, url.Values{"grant_type": {"client_credentials"}})
	if err != nil {
		return err
	}
	head, _, _ := strings.Cut(set.AccessToken, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return err
	}
	var header struct{ Alg, Typ string }
	if err := json.Unmarshal(raw, &header); err != nil {
		return err
	}
	if header.Alg != alg || header.Typ != "at+jwt" {
		return fmt.Errorf("the access token is %s, signed by %s", header.Typ, header.Alg)
	}
	return nil
}

// place is where a request ended, and where its answer leads.
type place struct {
	at       *url.URL
	location string
}

// do sends a request and reads the answer into a string or, from JSON, into
// anything else. where and into may be nil.
func do(via *http.Client, r *http.Request, where *place, into any) error {
	res, err := via.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s: %.500s", r.Method, r.URL, res.Status, raw)
	}
	if where != nil {
		*where = place{res.Request.URL, res.Header.Get("Location")}
	}
	switch into := into.(type) {
	case nil:
		return nil
	case *string:
		*into = string(raw)
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return errors.Join(fmt.Errorf("%s: not JSON: %.200s", r.URL, raw), err)
	}
	return nil
}
