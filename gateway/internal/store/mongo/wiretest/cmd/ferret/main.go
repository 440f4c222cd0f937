// Command ferret runs FerretDB until its standard input ends, for tests that
// want a server beside them:
//
//	ferret [-dir DIR] --> stdout: mongodb://127.0.0.1:<free port>/
//
// Without -dir the data is in a temporary directory that is removed at the end.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/gatepost/gatepost/gateway/internal/store/mongo/wiretest/ferret"
)

func main() {
	dir := flag.String("dir", "", "directory for the data; it must exist")
	flag.Parse()
	if err := run(*dir, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir string, in io.Reader, out io.Writer) error {
	if dir == "" {
		made, err := os.MkdirTemp("", "gatepost-ferret-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(made) }()
		dir = made
	}
	uri, stop, err := ferret.Start(dir)
	if err != nil {
		return err
	}
	defer stop()
	if _, err := fmt.Fprintln(out, uri); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}
