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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "gatepost:", line(err))
		stop()
		os.Exit(1)
	}
}

// line writes an error on one line, unless it is a report of problems, which has
// its own lines.
func line(err error) string {
	if report := (config.Report)(nil); errors.As(err, &report) {
		return report.Error()
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}
