package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/web/load"
)

const caddyModule = "github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9"

// await waits until a server answers well.
func (b *bench) await(ctx context.Context, address string, headers ...string) error {
	err := load.Await(ctx, func(ctx context.Context) error { return b.try(ctx, address, headers) })
	if err != nil {
		return fmt.Errorf("%s does not answer: %w\n%s", address, err, b.programs.Last())
	}
	return nil
}

func (b *bench) try(ctx context.Context, address string, headers []string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if req.Header.Set(name, value); name == "Host" {
			req.Host = value
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), "hello") {
		return fmt.Errorf("status %d: %.200s", res.StatusCode, body)
	}
	return nil
}

// nginx starts an nginx of its own with the http block conf.
func (b *bench) nginx(ctx context.Context, name, conf string) (*load.Process, error) {
	file := filepath.Join(b.dir, name+".conf")
	text := fmt.Sprintf("daemon off;\nworker_processes 2;\npid %s/%s.pid;\nerror_log stderr error;\nevents { worker_connections 4096; }\n"+
		"http {\n  access_log off;\n  keepalive_requests 100000000;\n  client_body_temp_path %[1]s;\n  proxy_temp_path %[1]s;\n"+
		"  fastcgi_temp_path %[1]s;\n  uwsgi_temp_path %[1]s;\n  scgi_temp_path %[1]s;\n%[3]s}\n", b.dir, name, conf)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return b.programs.Launch(ctx, nil, "nginx", "-p", b.dir, "-e", "stderr", "-c", file)
}

// upstreamConf answers everything with 1 KiB, and /auth with 204.
func upstreamConf(address string) string {
	body := "hello " + strings.Repeat("0123456789abcdef", 63)
	return fmt.Sprintf("  server {\n    listen %s backlog=1024;\n    location / { default_type text/plain; return 200 %q; }\n    location = /auth { return 204; }\n  }\n", address, body)
}

func proxyConf(address, up, location, more string) string {
	return fmt.Sprintf("  upstream app { server %s; keepalive 64; keepalive_requests 100000000; }\n  server {\n    listen %s backlog=1024;\n"+
		"    proxy_http_version 1.1;\n    proxy_set_header Connection \"\";\n    location / { %sproxy_pass http://app; }\n%s  }\n", up, address, location, more)
}

func (b *bench) startNginx(ctx context.Context, up string) (*load.Server, error) {
	address, err := load.Address("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p, err := b.nginx(ctx, "proxy", proxyConf(address, up, "", ""))
	return &load.Server{Address: "http://" + address + "/", Process: p}, err
}

func (b *bench) startAuthRequest(ctx context.Context, up string) (*load.Server, error) {
	address, err := load.Address("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	conf := proxyConf(address, up, "auth_request /auth; ",
		"    location = /auth { internal; proxy_pass http://app; proxy_pass_request_body off; proxy_set_header Content-Length \"\"; }\n")
	p, err := b.nginx(ctx, "auth", conf)
	return &load.Server{Address: "http://" + address + "/", Process: p}, err
}

func (b *bench) startCaddy(ctx context.Context, up string) (*load.Server, error) {
	program, err := b.caddy(ctx)
	if err != nil {
		return nil, err
	}
	address, err := load.Address("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(b.dir, "Caddyfile")
	conf := fmt.Sprintf("{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n}\nhttp://%s {\n\tbind 127.0.0.1\n\treverse_proxy %s\n}\n", address, up)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	p, err := b.programs.Launch(ctx, nil, program, "run", "--config", file, "--adapter", "caddyfile")
	return &load.Server{Address: "http://" + address + "/", Process: p}, err
}

// caddy returns the program, built if it is not there yet.
func (b *bench) caddy(ctx context.Context) (string, error) {
	dir, err := b.cacheDir()
	if err != nil {
		return "", err
	}
	_, version, _ := strings.Cut(caddyModule, "@")
	dir = filepath.Join(dir, "caddy-"+version)
	program := filepath.Join(dir, "caddy")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	_, _ = fmt.Fprintln(b.progress, "building", caddyModule, "into", dir)
	cmd := exec.CommandContext(ctx, "go", "install", caddyModule) //nolint:gosec // a constant
	cmd.Dir = b.dir                                               // outside the module
	cmd.Env = append(cmd.Environ(), "GOBIN="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go install %s: %w: %s", caddyModule, err, out)
	}
	return program, nil
}
