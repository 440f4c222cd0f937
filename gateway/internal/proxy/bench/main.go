// Command bench puts the proxy beside nginx and Caddy in front of the same
// upstream and prints requests a second, the 99th percentile and the ratios as
// a Markdown table.
//
//	upstream (nginx, a static answer)
//	   ^         ^            ^          ^
//	nginx     nginx        Caddy     Gatepost, signed in: session checked,
//	proxy_pass auth_request           identity headers and assertion set
//	   ^         ^            ^          ^
//	   +---------+-- wrk -----+----------+   in turns, a few rounds
//
// It needs nginx and wrk; Caddy is built once from the Go module proxy. With
// -gatepost it starts the demo of that program, adds a route and signs in, and
// measures the whole product. Beside that it measures the proxy package alone
// over a stub of the sign-in side, or with -url any running gateway, whose route
// must lead to -upstream.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/web/load"
)

// options are the flags.
type options struct {
	role     string
	program  string
	url      string
	host     string
	cookie   string
	upstream string
	cache    string
	only     string
	profile  string
	rounds   int
	duration time.Duration
	conns    int
	threads  int
}

func main() {
	var o options
	flag.StringVar(&o.role, "role", "", "internal: what this process is")
	flag.StringVar(&o.program, "gatepost", "", "a built gatepost: its demo is measured as a whole")
	flag.StringVar(&o.url, "url", "", "measure the gateway at this address instead of the proxy package alone")
	flag.StringVar(&o.host, "host", "", "Host to send with -url")
	flag.StringVar(&o.cookie, "cookie", "", "Cookie to send with -url, as name=value")
	flag.StringVar(&o.upstream, "upstream", "127.0.0.1:0", "where the upstream listens; with -url the gateway's route must lead here")
	flag.StringVar(&o.cache, "cache", "", "where Caddy is kept; default: the user's cache directory")
	flag.StringVar(&o.only, "only", "", "comma-separated names of servers to measure; default: all")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of the proxy package to this file")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each server is measured")
	flag.DurationVar(&o.duration, "duration", 5*time.Second, "of one measurement")
	flag.IntVar(&o.conns, "connections", 64, "of wrk")
	flag.IntVar(&o.threads, "threads", 2, "of wrk")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out, progress io.Writer) error {
	if o.role == "gatepost" {
		return serveGatepost(ctx, o, out)
	}
	dir, err := os.MkdirTemp("", "gatepost-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{options: o, dir: dir, progress: progress}
	defer b.programs.Stop()
	if err := b.start(ctx); err != nil {
		return err
	}
	if err := b.measure(ctx); err != nil {
		return err
	}
	b.report(out)
	return nil
}

// bench is one run.
type bench struct {
	options
	dir      string
	progress io.Writer
	programs load.Programs
	servers  []*load.Server
}

// start starts the upstream and everything in front of it.
func (b *bench) start(ctx context.Context) error {
	up, err := load.Address(b.upstream)
	if err != nil {
		return err
	}
	if _, err := b.nginx(ctx, "upstream", upstreamConf(up)); err != nil {
		return err
	}
	if err := b.await(ctx, "http://"+up+"/"); err != nil {
		return err
	}
	for _, s := range []struct {
		name  string
		start func(context.Context, string) (*load.Server, error)
	}{
		{"nginx proxy_pass", b.startNginx}, {"nginx auth_request", b.startAuthRequest}, {"Caddy reverse_proxy", b.startCaddy}, {"Gatepost", b.startWhole}, {"Gatepost proxy alone", b.startGatepost},
	} {
		if !b.wanted(s.name) || (s.name == "Gatepost" && b.program == "") {
			continue
		}
		started, err := s.start(ctx, up)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		started.Name = s.name
		if err := b.await(ctx, started.Address, started.Headers...); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		b.servers = append(b.servers, started)
	}
	return nil
}

func (b *bench) wanted(name string) bool {
	if b.only == "" {
		return true
	}
	for want := range strings.SplitSeq(b.only, ",") {
		if strings.Contains(strings.ToLower(name), strings.ToLower(strings.TrimSpace(want))) {
			return true
		}
	}
	return false
}

// measure measures all servers in turns, so that whatever else the machine does
// falls on all of them.
func (b *bench) measure(ctx context.Context) error {
	wrk := load.Wrk{Threads: b.threads, Connections: b.conns}
	for _, s := range b.servers { // warm up
		if _, err := wrk.Run(ctx, s, time.Second); err != nil {
			return err
		}
	}
	for round := range b.rounds {
		for _, s := range b.servers {
			r, err := wrk.Run(ctx, s, b.duration)
			if err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			s.Rounds = append(s.Rounds, r)
			_, _ = fmt.Fprintf(b.progress, "round %d: %-20s %8.0f requests/s, p99 %v\n", round+1, s.Name, r.PerSecond, r.P99)
		}
	}
	return nil
}

// cacheDir is where built programs are kept.
func (b *bench) cacheDir() (string, error) {
	if b.cache != "" {
		return filepath.Abs(b.cache)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", errors.New("no cache directory: give one with -cache")
	}
	return filepath.Join(dir, "gatepost-bench"), nil
}
