package main

import (
	"bytes"
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
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/web/load"
)

// whole is a running `gatepost demo`: the product as it is, its store and its
// sign-in included.
type whole struct {
	Listen    string `json:"listen"`
	BaseURL   string `json:"base_url"`
	Tenant    string `json:"tenant"`
	Workspace string `json:"workspace"`
	Users     []struct {
		Identifier string `json:"identifier"`
		Password   string `json:"password"`
	} `json:"users"`
	Clients map[string]struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
		TokenURL     string `json:"token_url"`
	} `json:"clients"`

	http *http.Client
}

// startWhole starts the program, adds a route to the upstream, and signs in.
func (b *bench) startWhole(ctx context.Context, up string) (*load.Server, error) {
	data := filepath.Join(b.dir, "demo")
	p, err := b.programs.Launch(ctx, nil, b.program, "demo", "--listen", "127.0.0.1:0", "--data", data)
	if err != nil {
		return nil, err
	}
	w, err := awaitDemo(ctx, filepath.Join(data, "demo.json"))
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, p.Output())
	}
	host := strings.Replace(strings.TrimPrefix(w.BaseURL, "http://"), "localhost", "bench.localhost", 1)
	if err := w.addRoute(ctx, host, up); err != nil {
		return nil, err
	}
	cookie, err := w.signIn(ctx, "http://"+host+"/")
	if err != nil {
		return nil, err
	}
	return &load.Server{Address: "http://" + w.Listen + "/", Process: p, Headers: []string{"Host: " + host, "Cookie: " + cookie}}, nil
}

func awaitDemo(ctx context.Context, path string) (*whole, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		raw, err := os.ReadFile(path) //nolint:gosec // in our own directory
		if err == nil {
			w := &whole{}
			jar, _ := cookiejar.New(nil) // never fails without options
			w.http = &http.Client{Jar: jar, Timeout: 20 * time.Second, Transport: &http.Transport{
				DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
					return (&net.Dialer{}).DialContext(ctx, network, w.Listen)
				},
			}}
			return w, json.Unmarshal(raw, w)
		}
		select {
		case <-ctx.Done():
			return nil, errors.New("the demo does not start")
		case <-tick.C:
		}
	}
}

// call sends a request and returns its body and where it ended.
func (w *whole) call(ctx context.Context, method, address, body string, headers map[string]string) (string, *url.URL, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return "", nil, err
	}
	for name, v := range headers {
		r.Header.Set(name, v)
	}
	resp, err := w.http.Do(r)
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var b bytes.Buffer
	if _, err := io.Copy(&b, resp.Body); err != nil {
		return "", nil, err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return "", nil, fmt.Errorf("%s %s: %s: %s", method, address, resp.Status, b.String())
	}
	return b.String(), resp.Request.URL, nil
}

func (w *whole) addRoute(ctx context.Context, host, up string) error {
	c := w.Clients["admin"]
	basic := base64.StdEncoding.EncodeToString([]byte(c.ClientID + ":" + c.ClientSecret))
	answer, _, err := w.call(ctx, http.MethodPost, c.TokenURL, "grant_type=client_credentials", map[string]string{
		"Content-Type": "application/x-www-form-urlencoded", "Authorization": "Basic " + basic,
	})
	if err != nil {
		return err
	}
	var set struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(answer), &set); err != nil {
		return err
	}
	route, err := json.Marshal(map[string]any{"host": host, "upstream": "http://" + up, "policy": "signed_in", "assertion": true})
	if err != nil {
		return err
	}
	_, _, err = w.call(ctx, http.MethodPost, w.BaseURL+"/api/admin/"+w.Tenant+"/servers/"+w.Workspace+"/routes", string(route),
		map[string]string{"Authorization": "Bearer " + set.AccessToken})
	return err
}

// signIn signs in at an app and returns the session cookie of its host.
func (w *whole) signIn(ctx context.Context, app string) (string, error) {
	page, at, err := w.call(ctx, http.MethodGet, app, "", map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"})
	if err != nil {
		return "", err
	}
	token := regexp.MustCompile(`name="csrf_token" value="([^"]+)"`).FindStringSubmatch(page)
	if token == nil {
		return "", errors.New("the app does not ask to sign in")
	}
	form := url.Values{"csrf_token": {token[1]}, "identifier": {w.Users[0].Identifier}, "password": {w.Users[0].Password}}
	_, _, err = w.call(ctx, http.MethodPost, at.String(), form.Encode(), map[string]string{
		"Content-Type": "application/x-www-form-urlencoded", "Origin": w.BaseURL,
	})
	if err != nil {
		return "", err
	}
	u, err := url.Parse(app)
	if err != nil {
		return "", err
	}
	for _, c := range w.http.Jar.Cookies(u) {
		if !strings.Contains(c.Name, "bounced") && !strings.Contains(c.Name, "flow") {
			return c.Name + "=" + c.Value, nil
		}
	}
	return "", errors.New("the sign-in set no session cookie")
}
