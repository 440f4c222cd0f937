// Command gatepost is the authentication gateway and its tools.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/gatepost/gatepost/gateway/internal/config"
)

func main() {
	defer roomy()()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		for _, line := range lines(err) {
			fmt.Fprintln(os.Stderr, "gatepost:", line)
		}
		stop()
		os.Exit(1)
	}
}

// lines returns an error as one line, and a report of problems as one for each.
func lines(err error) []string {
	if report := config.Report(nil); errors.As(err, &report) {
		return strings.Split(report.Error(), "\n")
	}
	var parts []string
	for part := range strings.Lines(err.Error()) {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return []string{strings.Join(parts, "; ")}
}
