// Command demo-app is a web app without any sign-in of its own, made to stand
// behind Gatepost:
//
//	go run ./examples/demo-app -listen 127.0.0.1:9000
//
// `gatepost demo` starts the same app in process; see package demoapp.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gatepost/gatepost/examples/demo-app/demoapp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "demo-app:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends and writes the address it listens on to out.
// Requests that run then have two seconds to end.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("demo-app", flag.ContinueOnError)
	flags.SetOutput(out)
	address := flags.String("listen", "127.0.0.1:9000", "address to listen on; port 0 takes any free one")
	if err := flags.Parse(args); err != nil {
		return err
	}
	handler, err := demoapp.New()
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", *address)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "demo-app: http://%s\n", listener.Addr()); err != nil {
		return err
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx }, // ends streams when the program ends
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return server.Close() // browsers open connections ahead of need, and Shutdown waits for them
}
