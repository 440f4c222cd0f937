package main

import (
	"fmt"
	"io"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/web/load"
)

// report prints the table. Ratios are those of the medians.
func (b *bench) report(w io.Writer) {
	base := func(name string) float64 {
		for _, s := range b.servers {
			if s.Name == name {
				return s.Rate()
			}
		}
		return 0
	}
	nginx, caddy := base("nginx proxy_pass"), base("Caddy reverse_proxy")
	_, _ = fmt.Fprintf(w, "| server | requests/s | p99 | x nginx proxy_pass | x Caddy | CPU a request | rounds |\n|---|---:|---:|---:|---:|---:|---|\n")
	for _, s := range b.servers {
		_, _ = fmt.Fprintf(w, "| %s | %.0f | %v | %s | %s | %v | %s |\n", s.Name, s.Rate(), s.P99(), load.Ratio(s.Rate(), nginx), load.Ratio(s.Rate(), caddy),
			s.CPU().Round(100*time.Nanosecond), s.Figures())
	}
}
