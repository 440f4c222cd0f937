package notify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// directory writes each e-mail into a file of its own.
type directory struct{ path, from string }

// NewDirectory returns a sender that writes .eml files, which sort by time and
// appear whole. from is the mailbox they come from. The directory is made when
// it is missing; what is in the files is for its owner only.
func NewDirectory(path, from string) Sender { return &directory{path, from} }

// Send implements [Sender].
func (d *directory) Send(_ context.Context, l Letter) (answer string, err error) {
	m, err := compose(d.from, l)
	if err != nil {
		return "", &Failure{Permanent: true, Cause: err}
	}
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return "", fmt.Errorf("mail directory: %w", err)
	}
	f, err := os.CreateTemp(d.path, ".mail-*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("mail directory: %w", err)
	}
	_, err = m.WriteTo(f)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		answer = filepath.Join(d.path, l.Date.UTC().Format("20060102T150405.000000000")+"-"+l.ID+".eml")
		err = os.Rename(f.Name(), answer)
	}
	if err != nil {
		return "", fmt.Errorf("mail directory: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return "written to " + answer, nil
}
