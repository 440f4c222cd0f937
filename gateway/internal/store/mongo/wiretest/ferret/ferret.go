package ferret

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/FerretDB/FerretDB/build/version"
	"github.com/FerretDB/FerretDB/ferretdb"
)

// Version is FerretDB's, as go.mod requires it.
const Version = "v1.24.0"

// sayVersion makes FerretDB tell its version, which it knows by itself only
// when it is the main program.
var sayVersion = sync.OnceFunc(func() { version.Get().Version = Version })

// Start runs FerretDB on a free port of the loopback address with its data in
// dir, which must exist. stop ends it and returns when it has ended.
func Start(dir string) (uri string, stop func(), err error) {
	sayVersion()
	f, err := ferretdb.New(&ferretdb.Config{
		Handler:   "sqlite",
		SQLiteURL: "file:" + dir + "/",
		Listener:  ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return "", nil, fmt.Errorf("FerretDB: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = f.Run(ctx) // returns nil always
	}()
	return f.MongoDBURI(), func() { cancel(); <-ended }, nil
}
