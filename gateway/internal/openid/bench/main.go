// Command bench puts Gatepost's token endpoint beside that of npm oidc-provider
// on the same machine and prints tokens a second, the 99th percentile and the
// ratios as a Markdown table.
//
//	oidc-provider     oidc-provider      gatepost demo    gatepost demo
//	one process       cluster, one a     on a data        whose workspace
//	                  processor          directory        signs by RS256
//	     ^                 ^                 ^                ^
//	     +-----------------+----- wrk -------+----------------+   in turns, a few rounds
//
// All give JWT access tokens to a confidential client by client_credentials.
// oidc-provider keeps everything in memory; Gatepost writes an audit event for
// each token, and whatever a refresh changes, before it answers. Refresh,
// introspection and UserInfo are measured of Gatepost alone.
//
// It needs wrk, Node and npm; oidc-provider is installed once, by npm ci and the
// lock file in peer, into the user's cache directory.
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
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/web/load"
)

// options are the flags.
type options struct {
	program  string
	cache    string
	only     string
	rounds   int
	duration time.Duration
	conns    int
	threads  int
	workers  int
}

func main() {
	var o options
	flag.StringVar(&o.program, "gatepost", "bin/gatepost", "a built gatepost: its demo is measured")
	flag.StringVar(&o.cache, "cache", "", "where oidc-provider is kept; default: the user's cache directory")
	flag.StringVar(&o.only, "only", "", "parts of the names to measure, with semicolons between them; default: all")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each is measured")
	flag.DurationVar(&o.duration, "duration", 5*time.Second, "of one measurement")
	flag.IntVar(&o.conns, "connections", 64, "of wrk")
	flag.IntVar(&o.threads, "threads", 2, "of wrk")
	flag.IntVar(&o.workers, "workers", runtime.NumCPU(), "processes of oidc-provider's cluster")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out, progress io.Writer) error {
	dir, err := os.MkdirTemp("", "gatepost-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{options: o, dir: dir, progress: progress}
	defer b.programs.Stop()
	if err := errors.Join(b.startPeers(ctx), b.startGatepost(ctx)); err != nil {
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
	subjects []*subject
}

// subject is one thing that is measured.
type subject struct {
	load.Server
	peer   bool
	tokens bool                        // compared with the peers
	before func(context.Context) error // prepares a measurement, nil: nothing
}

// add takes a subject in, unless the flags leave it out.
func (b *bench) add(s *subject) {
	wanted := func(part string) bool { return strings.Contains(s.Name, strings.TrimSpace(part)) }
	if slices.ContainsFunc(strings.Split(b.only, ";"), wanted) {
		b.subjects = append(b.subjects, s)
	}
}

// measure measures all subjects in turns, so that whatever else the machine does
// falls on all of them.
func (b *bench) measure(ctx context.Context) error {
	for round := range b.rounds + 1 {
		for _, s := range b.subjects {
			r, err := b.once(ctx, s, round)
			if err != nil {
				return fmt.Errorf("%s: %w\n%s", s.Name, err, tail(s.Process.Output()))
			}
			if round == 0 { // warm up
				continue
			}
			s.Rounds = append(s.Rounds, r)
			_, _ = fmt.Fprintf(b.progress, "round %d: %-36s %8.0f requests/s, p99 %v\n", round, s.Name, r.PerSecond, r.P99)
		}
	}
	return nil
}

func (b *bench) once(ctx context.Context, s *subject, round int) (load.Result, error) {
	if s.before != nil {
		if err := s.before(ctx); err != nil {
			return load.Result{}, err
		}
	}
	d := b.duration
	if round == 0 {
		d = time.Second
	}
	return load.Wrk{Threads: b.threads, Connections: b.conns}.Run(ctx, &s.Server, d)
}

// tail is the end of what a program printed.
func tail(s string) string { return s[max(0, len(s)-2000):] }

// report prints the table. Ratios are those of the medians, against the better of
// the peers.
func (b *bench) report(w io.Writer) {
	var best float64
	for _, s := range b.subjects {
		if s.peer {
			best = max(best, s.Rate())
		}
	}
	_, _ = fmt.Fprintf(w, "| what | requests/s | p99 | x oidc-provider | CPU a request | rounds |\n|---|---:|---:|---:|---:|---|\n")
	for _, s := range b.subjects {
		ratio := "-"
		if s.tokens {
			ratio = load.Ratio(s.Rate(), best)
		}
		_, _ = fmt.Fprintf(w, "| %s | %.0f | %v | %s | %v | %s |\n", s.Name, s.Rate(), s.P99(), ratio, s.CPU().Round(time.Microsecond), s.Figures())
	}
}

// cacheDir is where oidc-provider is installed.
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
