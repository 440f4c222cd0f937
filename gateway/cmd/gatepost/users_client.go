package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gatepost/gatepost/gateway"
	"github.com/gatepost/gatepost/gateway/internal/config"
)

// people is the users of one pool of a running gateway.
type people struct {
	http  *http.Client
	base  string
	token func(context.Context) (string, error) // nil: none is needed
	held  string
	wait  func(context.Context, time.Duration) error
}

// localPeople goes over the operator's socket.
func localPeople(cfg config.Config, tenant, pool string) *people {
	client, base := gateway.OperatorPeople(cfg, tenant, pool)
	return &people{http: client, base: base, wait: sleep}
}

// remotePeople goes over the API with a client of the workspace admin or system.
func remotePeople(_ context.Context, file, base, tenant, pool string) (*people, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var f gateway.SetupResult
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("%s is not a client file: %w", file, err)
	}
	client, err := readClient(file, false)
	if err != nil {
		return nil, err
	}
	if base == "" {
		base = f.BaseURL
	}
	if tenant == "" {
		tenant = f.TenantID
	}
	if base == "" || tenant == "" {
		return nil, fmt.Errorf("%s names no base_url or tenant_id: give --url and --tenant", file)
	}
	family := "admin"
	if strings.HasSuffix(client.TokenURL, "/system/oauth2/token") {
		family = "system"
	}
	return &people{
		http: &http.Client{Timeout: time.Minute}, wait: sleep,
		base:  strings.TrimSuffix(base, "/") + "/api/identity/" + url.PathEscape(tenant) + "/" + family + "/pools/" + url.PathEscape(pool) + "/users",
		token: func(ctx context.Context) (string, error) { return requestToken(ctx, client) },
	}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refused is an answer that sending again would not change.
type refused struct {
	status int
	said   string
}

func (r *refused) Error() string { return fmt.Sprintf("the gateway answered %d: %s", r.status, r.said) }

// attempts is how often a request is sent that gets no answer, or one that says
// "later".
const attempts = 6

// do sends a request until it is answered.
func (p *people) do(ctx context.Context, method, path string, q url.Values, body []byte) ([]byte, error) {
	var err error
	for n := range attempts {
		if n > 0 {
			if err := p.wait(ctx, time.Second<<(n-1)); err != nil {
				return nil, err
			}
		}
		var answer []byte
		answer, err = p.once(ctx, method, path, q, body)
		var no *refused
		if err == nil || ctx.Err() != nil || errors.As(err, &no) {
			return answer, err
		}
	}
	return nil, err
}

func (p *people) once(ctx context.Context, method, path string, q url.Values, body []byte) ([]byte, error) {
	if p.token != nil && p.held == "" {
		token, err := p.token(ctx)
		if err != nil {
			return nil, err
		}
		p.held = token
	}
	r, err := http.NewRequestWithContext(ctx, method, p.base+path+"?"+q.Encode(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	if p.held != "" {
		r.Header.Set("Authorization", "Bearer "+p.held)
	}
	resp, err := p.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode == http.StatusOK {
		return answer, err
	}
	return nil, p.failed(resp, answer)
}

// failed is the error of an answer other than 200: a *refused, or one after which
// the request may be sent again.
func (p *people) failed(resp *http.Response, answer []byte) error {
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(answer, &said) != nil || said.Error == "" {
		said.Error = resp.Status
	}
	ended := resp.StatusCode == http.StatusUnauthorized && p.token != nil
	if ended {
		p.held = "" // the token may have: the next try gets another
	}
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || ended {
		return fmt.Errorf("the gateway answered %d: %s", resp.StatusCode, said.Error)
	}
	return &refused{resp.StatusCode, said.Error}
}

// send imports lines.
func (p *people) send(ctx context.Context, run string, first int, dry bool, lines []byte) ([]gateway.ImportResult, error) {
	q := url.Values{"run": {run}, "row": {strconv.Itoa(first)}, "dry_run": {strconv.FormatBool(dry)}}
	raw, err := p.do(ctx, http.MethodPost, "/import", q, lines)
	if err != nil {
		return nil, err
	}
	return gateway.ParseImport(raw)
}

// pages calls yield with all users, some lines at a time.
func (p *people) pages(ctx context.Context, secrets bool, yield func([]byte) error) error {
	const size = 200
	q := url.Values{"limit": {strconv.Itoa(size)}, "with_credentials": {strconv.FormatBool(secrets)}}
	for {
		page, err := p.do(ctx, http.MethodGet, "/export", q, nil)
		if err != nil {
			return err
		}
		if err := yield(page); err != nil || bytes.Count(page, []byte("\n")) < size {
			return err
		}
		lines := bytes.Split(bytes.TrimRight(page, "\n"), []byte("\n"))
		var last struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil || last.ID == "" {
			return fmt.Errorf("a page of users ends oddly: %w", err)
		}
		q.Set("after_user_id", last.ID)
	}
}
