package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// result is one measurement.
type result struct {
	perSecond float64
	p99       time.Duration
	cpu       time.Duration // of the server, for one request; 0: not known
}

var (
	wrkRate   = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	wrkCount  = regexp.MustCompile(`([0-9]+) requests in`)
	wrkP99    = regexp.MustCompile(`99%\s+([0-9.]+)(us|ms|s|m)`)
	wrkErrors = regexp.MustCompile(`Non-2xx or 3xx responses: [0-9]+|Socket errors: .*`)
)

// wrk measures one server. Any answer but a good one fails it: a fast refusal
// is no throughput.
func (b *bench) wrk(ctx context.Context, s *server, d time.Duration) (result, error) {
	args := []string{"-t" + strconv.Itoa(b.threads), "-c" + strconv.Itoa(b.conns), fmt.Sprintf("-d%ds", int(d.Seconds())), "--latency"}
	for _, h := range s.headers {
		args = append(args, "-H", h)
	}
	before := s.cpu()
	out, err := exec.CommandContext(ctx, "wrk", append(args, s.address)...).CombinedOutput() //nolint:gosec // the tool measures what it is told to
	if err != nil {
		return result{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	if bad := wrkErrors.Find(out); bad != nil {
		return result{}, fmt.Errorf("wrk: %s", bad)
	}
	used := s.cpu() - before
	rate, p99, count := wrkRate.FindSubmatch(out), wrkP99.FindSubmatch(out), wrkCount.FindSubmatch(out)
	if rate == nil || p99 == nil || count == nil {
		return result{}, fmt.Errorf("wrk said something unexpected: %s", out)
	}
	var r result
	r.perSecond, err = strconv.ParseFloat(string(rate[1]), 64)
	if err != nil {
		return r, err
	}
	if n, err := strconv.Atoi(string(count[1])); err == nil && n > 0 {
		r.cpu = used / time.Duration(n)
	}
	r.p99, err = time.ParseDuration(string(p99[1]) + string(p99[2]))
	if r.perSecond == 0 {
		return r, errors.Join(err, errors.New("nothing was answered"))
	}
	return r, err
}

func (s *server) cpu() time.Duration {
	if s.process == nil {
		return 0
	}
	return cpu(s.process.cmd.Process.Pid)
}

// median returns the middle of the rounds by one measure.
func median[T cmp.Ordered](rounds []result, of func(result) T) T {
	vs := make([]T, len(rounds))
	for i, r := range rounds {
		vs[i] = of(r)
	}
	slices.Sort(vs)
	return vs[len(vs)/2]
}

func rate(r result) float64       { return r.perSecond }
func p99(r result) time.Duration  { return r.p99 }
func used(r result) time.Duration { return r.cpu }

// report prints the table. Ratios are those of the medians.
func (b *bench) report(w io.Writer) {
	base := func(name string) float64 {
		for _, s := range b.servers {
			if s.name == name {
				return median(s.rounds, rate)
			}
		}
		return 0
	}
	against := func(v, base float64) string {
		if base == 0 {
			return "-"
		}
		return strconv.FormatFloat(v/base, 'f', 2, 64)
	}
	nginx, caddy := base("nginx proxy_pass"), base("Caddy reverse_proxy")
	_, _ = fmt.Fprintf(w, "| server | requests/s | p99 | x nginx proxy_pass | x Caddy | CPU a request | rounds |\n|---|---:|---:|---:|---:|---:|---|\n")
	for _, s := range b.servers {
		rounds := ""
		for i, r := range s.rounds {
			if i > 0 {
				rounds += ", "
			}
			rounds += strconv.FormatFloat(r.perSecond, 'f', 0, 64)
		}
		v := median(s.rounds, rate)
		_, _ = fmt.Fprintf(w, "| %s | %.0f | %v | %s | %s | %v | %s |\n", s.name, v, median(s.rounds, p99), against(v, nginx), against(v, caddy),
			median(s.rounds, used).Round(100*time.Nanosecond), rounds)
	}
}
