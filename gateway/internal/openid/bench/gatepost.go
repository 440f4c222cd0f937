package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/web/load"
)

// startGatepost starts two demos: one as it comes, and one whose workspace signs
// by RS256.
func (b *bench) startGatepost(ctx context.Context) error {
	es, err := b.startDemo(ctx, "ES256")
	if err != nil {
		return fmt.Errorf("gatepost: %w", err)
	}
	rs, err := b.startDemo(ctx, "RS256")
	if err != nil {
		return fmt.Errorf("gatepost, RS256: %w", err)
	}
	for _, d := range []*demo{es, rs} {
		s := d.subject("client_credentials, "+d.alg, "/oauth2/token")
		s.tokens = true
		if s.Script, err = b.script("credentials-"+d.alg, credentialsScript, map[string]string{"AUTH": d.auth()}); err != nil {
			return err
		}
		b.add(s)
	}
	for _, s := range []*subject{b.refresh(es), b.introspect(es), b.userinfo(es)} {
		b.add(s)
	}
	return nil
}

// refresh is measured with refresh tokens of its own each time.
func (b *bench) refresh(d *demo) *subject {
	s := d.subject("refresh_token, ES256", "/oauth2/token")
	s.before = func(ctx context.Context) (err error) {
		s.Script, err = b.refreshes(ctx, d)
		return err
	}
	return s
}

// introspect is measured with a token that lives.
func (b *bench) introspect(d *demo) *subject {
	s := d.subject("introspection", "/oauth2/introspect")
	s.before = func(ctx context.Context) error {
		set, err := d.grant(ctx)
		if err != nil {
			return err
		}
		if err := d.alive(ctx, set.AccessToken); err != nil {
			return err
		}
		s.Script, err = b.script("introspect", introspectScript, map[string]string{"AUTH": d.auth(), "TOKEN": set.AccessToken})
		return err
	}
	return s
}

func (b *bench) userinfo(d *demo) *subject {
	s := d.subject("userinfo", "/userinfo")
	host := s.Headers
	s.before = func(ctx context.Context) error {
		set, err := d.grant(ctx)
		s.Headers = append(slices.Clone(host), "Authorization: Bearer "+set.AccessToken)
		return err
	}
	return s
}

// each is the number of grants for one thread of wrk: more than it has
// connections. A person has at most a hundred of one client.
func (b *bench) each() int { return b.conns/b.threads + 8 }

// refreshes writes the script of a measurement with refresh tokens of its own.
func (b *bench) refreshes(ctx context.Context, d *demo) (string, error) {
	var tokens []string
	for range b.threads * b.each() {
		set, err := d.grant(ctx)
		if err != nil {
			return "", err
		}
		tokens = append(tokens, `"`+set.RefreshToken+`"`)
	}
	return b.script("refresh", refreshScript, map[string]string{
		"AUTH": d.auth(), "TOKENS": strings.Join(tokens, ","), "EACH": strconv.Itoa(b.each()),
	})
}

// startDemo starts a demo on a data directory of its own, lifts the rate limit of
// its token endpoint and makes the client that is measured.
func (b *bench) startDemo(ctx context.Context, alg string) (*demo, error) {
	data := filepath.Join(b.dir, "demo-"+alg)
	p, err := b.programs.Launch(ctx, nil, b.program, "demo", "--listen", "127.0.0.1:0", "--data", data)
	if err != nil {
		return nil, err
	}
	d := &demo{alg: alg, process: p}
	if err := load.Await(ctx, func(context.Context) error { return d.read(filepath.Join(data, "demo.json")) }); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, p.Output())
	}
	if err := d.prepare(ctx); err != nil {
		return nil, err
	}
	return d, signedBy(ctx, d.http, d.issuer()+"/oauth2/token", d.client.ID, d.client.Secret, alg)
}

func (d *demo) subject(name, path string) *subject {
	s := &subject{}
	s.Name, s.Process = "Gatepost: "+name, d.process
	s.Address = "http://" + d.Listen + "/" + d.Tenant + "/" + d.Workspace + path
	s.Headers = []string{"Host: " + strings.TrimPrefix(d.BaseURL, "http://")}
	return s
}

func (d *demo) auth() string { return basic(d.client.ID, d.client.Secret) }
