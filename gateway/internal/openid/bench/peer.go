package main

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/web/load"
)

// What oidc-provider is made from.
//
//go:embed peer/package.json peer/package-lock.json peer/provider.mjs
var peerFiles embed.FS

// The peer's client.
const peerClient, peerSecret = "bench", "a-secret-of-the-peer-s-client"

// startPeers starts oidc-provider as one process and as a cluster.
func (b *bench) startPeers(ctx context.Context) error {
	home, err := b.install(ctx)
	if err != nil {
		return err
	}
	for _, p := range []struct {
		name    string
		workers int
	}{{"oidc-provider, one process", 0}, {fmt.Sprintf("oidc-provider, cluster of %d", b.workers), b.workers}} {
		if err := b.startPeer(ctx, home, p.name, p.workers); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func (b *bench) startPeer(ctx context.Context, home, name string, workers int) error {
	address, err := load.Address("127.0.0.1:0")
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	p, err := b.programs.Launch(ctx, []string{"NODE_ENV=production"}, "node", filepath.Join(home, "provider.mjs"), port, peerClient, peerSecret, strconv.Itoa(workers))
	if err != nil {
		return err
	}
	s := &subject{peer: true, tokens: true}
	s.Name, s.Address, s.Process = name+": client_credentials, ES256", "http://"+address+"/token", p
	via := &http.Client{Timeout: 20 * time.Second}
	err = load.Await(ctx, func(ctx context.Context) error {
		return signedBy(ctx, via, s.Address, peerClient, peerSecret, "ES256")
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.Output())
	}
	s.Script, err = b.script("peer", credentialsScript, map[string]string{"AUTH": basic(peerClient, peerSecret)})
	b.add(s)
	return err
}

// install returns the directory that holds oidc-provider, filled by npm ci if it
// is not there yet.
func (b *bench) install(ctx context.Context) (string, error) {
	dir, err := b.cacheDir()
	if err != nil {
		return "", err
	}
	files := map[string][]byte{}
	sum := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json", "provider.mjs"} {
		if files[name], err = peerFiles.ReadFile("peer/" + name); err != nil {
			return "", err
		}
		_, _ = sum.Write(files[name]) // a hash never fails
	}
	home := filepath.Join(dir, "oidc-provider-"+hex.EncodeToString(sum.Sum(nil)[:8]))
	if _, err := os.Stat(filepath.Join(home, "installed")); err == nil {
		return home, nil
	}
	if err := os.MkdirAll(home, 0o755); err != nil { //nolint:gosec // public code
		return "", err
	}
	for name, raw := range files {
		if err := os.WriteFile(filepath.Join(home, name), raw, 0o600); err != nil {
			return "", err
		}
	}
	_, _ = fmt.Fprintln(b.progress, "installing oidc-provider into", home)
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = home
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w: %s", err, out)
	}
	return home, os.WriteFile(filepath.Join(home, "installed"), nil, 0o600)
}
