package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/gatepost/gatepost/gateway/internal/config"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/store/embedded"
	"github.com/gatepost/gatepost/gateway/internal/store/mongo"
	"github.com/gatepost/gatepost/gateway/internal/tenant"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// openRing loads the key ring. With the embedded store it is made at the first
// start, before the store: a store without a ring has lost it. Several gateways on
// one MongoDB must get the same file, so there the operator makes it.
func openRing(c config.Config) (*vault.Ring, error) {
	path := string(c.Keys.File)
	ring, err := vault.Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return ring, err
	}
	if c.Store.Driver == config.Mongo {
		return nil, fmt.Errorf("keys.file: %s does not exist; make it once with `gatepost keys init` and give it to every gateway", path)
	}
	if _, err := os.Stat(string(c.Store.Path)); err == nil {
		return nil, fmt.Errorf("keys.file: %s is missing, and %s was sealed with it: put your copy back", path, c.Store.Path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return vault.Create(path)
}

// openDriver opens what the configuration names.
func openDriver(ctx context.Context, c config.Store, log *slog.Logger) (store.Driver, error) {
	if c.Driver == config.Mongo {
		d, err := mongo.Open(ctx, mongo.Config{URI: string(c.URI), Database: c.Database})
		if err != nil {
			return nil, fmt.Errorf("store.uri: %w", err)
		}
		if at := d.Server(); !at.AtomicUpdates {
			log.Warn("conditional updates of this server are not atomic: two requests at once may both change a record; use MongoDB for anything but trials",
				"server", at.Product+" "+at.Version)
		}
		return d, nil
	}
	if err := os.MkdirAll(filepath.Dir(string(c.Path)), 0o700); err != nil {
		return nil, err
	}
	return embedded.Open(embedded.Config{Path: string(c.Path)})
}

// checkValue is what a ring must be able to open to belong to this store.
type checkValue struct {
	Value string `json:"value"`
}

// verifyRing refuses a key ring that is not the store's: secrets written under
// another one could not be read, and new ones would be lost to the others.
func verifyRing(ctx context.Context, s *store.Store, ring *vault.Ring, file string) error {
	t, err := store.Declare(ctx, s, store.Spec[checkValue]{Name: "ring"})
	if err != nil {
		return err
	}
	const id = "check"
	_, err = t.Create(ctx, tenant.Root, id, checkValue{Value: ring.CheckValue()})
	if !errors.Is(err, store.ErrExists) {
		return err
	}
	row, err := t.Get(ctx, tenant.Root, id)
	if err != nil {
		return err
	}
	err = ring.Verify(row.Value.Value)
	if errors.Is(err, vault.ErrUnknownKey) {
		return fmt.Errorf("%s cannot open what is sealed in %s: put back the key file that it was set up with (keys.file)", file, s.Name())
	}
	return err
}
