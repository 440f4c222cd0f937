package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Server is one of those compared.
type Server struct {
	Name    string
	Address string // URL
	Headers []string
	Script  string   // path of a Lua script for wrk, if any
	Process *Process // nil: not ours
	Rounds  []Result
}

// Result is one measurement.
type Result struct {
	PerSecond float64
	P99       time.Duration
	CPU       time.Duration // of the server, for one request; 0: not known
}

// Wrk is how wrk measures.
type Wrk struct{ Threads, Connections int }

var (
	wrkRate   = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	wrkCount  = regexp.MustCompile(`([0-9]+) requests in`)
	wrkP99    = regexp.MustCompile(`99%\s+([0-9.]+)(us|ms|s|m)`)
	wrkErrors = regexp.MustCompile(`Non-2xx or 3xx responses: [0-9]+|Socket errors: .*`)
)

// Run measures one server. Any answer but a good one fails it: a fast refusal is
// no throughput.
func (w Wrk) Run(ctx context.Context, s *Server, d time.Duration) (Result, error) {
	args := []string{"-t" + strconv.Itoa(w.Threads), "-c" + strconv.Itoa(w.Connections), fmt.Sprintf("-d%ds", int(d.Seconds())), "--latency"}
	if s.Script != "" {
		args = append(args, "-s", s.Script)
	}
	for _, h := range s.Headers {
		args = append(args, "-H", h)
	}
	before := s.cpu()
	out, err := exec.CommandContext(ctx, "wrk", append(args, s.Address)...).CombinedOutput() //nolint:gosec // the tool measures what it is told to
	if err != nil {
		return Result{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	if bad := wrkErrors.Find(out); bad != nil {
		return Result{}, fmt.Errorf("wrk: %s", bad)
	}
	used := s.cpu() - before
	rate, p99, count := wrkRate.FindSubmatch(out), wrkP99.FindSubmatch(out), wrkCount.FindSubmatch(out)
	if rate == nil || p99 == nil || count == nil {
		return Result{}, fmt.Errorf("wrk said something unexpected: %s", out)
	}
	var r Result
	r.PerSecond, err = strconv.ParseFloat(string(rate[1]), 64)
	if err != nil {
		return r, err
	}
	if n, err := strconv.Atoi(string(count[1])); err == nil && n > 0 {
		r.CPU = used / time.Duration(n)
	}
	r.P99, err = time.ParseDuration(string(p99[1]) + string(p99[2]))
	if r.PerSecond == 0 {
		return r, errors.Join(err, errors.New("nothing was answered"))
	}
	return r, err
}

func (s *Server) cpu() time.Duration {
	if s.Process == nil {
		return 0
	}
	return s.Process.CPU()
}

// Rate is the median of the server's requests a second.
func (s *Server) Rate() float64 { return median(s, func(r Result) float64 { return r.PerSecond }) }

// P99 is the median of the 99th percentiles of the time of a request.
func (s *Server) P99() time.Duration { return median(s, func(r Result) time.Duration { return r.P99 }) }

// CPU is the median of the processor time for a request.
func (s *Server) CPU() time.Duration { return median(s, func(r Result) time.Duration { return r.CPU }) }

// Figures are the requests a second of all rounds.
func (s *Server) Figures() string {
	all := make([]string, len(s.Rounds))
	for i, r := range s.Rounds {
		all[i] = strconv.FormatFloat(r.PerSecond, 'f', 0, 64)
	}
	return strings.Join(all, ", ")
}

// median returns the middle of the rounds by one measure; zero without rounds.
func median[T cmp.Ordered](s *Server, of func(Result) T) T {
	vs := make([]T, len(s.Rounds))
	for i, r := range s.Rounds {
		vs[i] = of(r)
	}
	slices.Sort(vs)
	if len(vs) == 0 {
		var none T
		return none
	}
	return vs[len(vs)/2]
}

// Ratio writes v in terms of base; "-" where there is no base.
func Ratio(v, base float64) string {
	if base == 0 {
		return "-"
	}
	return strconv.FormatFloat(v/base, 'f', 2, 64)
}
