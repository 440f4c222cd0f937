package config

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gatepost/gatepost/gateway/internal/vault"
)

// machine collects what is wrong with the files and directories that a
// configuration names.
type machine struct {
	rules
	judged map[string]bool // directories
}

// Check looks at what a complete configuration names on this machine:
// certificates that can be read, a key ring that nobody else can, directories
// that can be written. It leaves nothing behind. The error is a Report.
func Check(c Config) error {
	m := &machine{judged: map[string]bool{}}
	if t := c.Listen.Public.TLS; t.On() {
		if _, err := tls.LoadX509KeyPair(string(t.Certificate), string(t.Key)); err != nil {
			m.add("listen.public.tls", "%s", err)
		}
		if _, err := t.ClientCAs(); err != nil {
			m.add("listen.public.tls.client_ca", "%s", err)
		}
	}
	m.directory("data_dir", string(c.DataDir))
	if c.Store.Driver == Embedded {
		m.directory("store.path", filepath.Dir(string(c.Store.Path)))
	}
	if c.Mail.Driver == Directory {
		m.directory("mail.directory", string(c.Mail.Directory))
	}
	if dir := string(c.Messages.Templates); dir != "" {
		m.templates(dir)
	}
	m.ring(c)
	return m.found.sorted()
}

// ring judges the key file. With the embedded store one is made where there is
// none.
func (m *machine) ring(c Config) {
	_, err := vault.Load(string(c.Keys.File))
	switch {
	case err == nil:
	case !absent(err):
		m.add("keys.file", "%s", err)
	case c.Store.Driver != Embedded:
		m.add("keys.file", "%s does not exist: run `gatepost keys init` once and give every gateway the same file", c.Keys.File)
	default:
		m.directory("keys.file", filepath.Dir(string(c.Keys.File)))
	}
}

// directory judges whether files can be made in dir, or dir itself can be.
func (m *machine) directory(path, dir string) {
	at, err := nearest(dir)
	if m.judged[at] {
		return
	}
	m.judged[at] = true
	if err != nil {
		m.add(path, "%s: %s", at, reason(err))
		return
	}
	probe, err := os.CreateTemp(at, ".gatepost-*")
	if err != nil {
		m.add(path, "%s cannot be written: %s", at, reason(err))
		return
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name())
}

// nearest returns dir or the first directory above it that exists. The error
// is about the returned path.
func nearest(dir string) (string, error) {
	for {
		info, err := os.Stat(dir)
		switch {
		case err == nil && !info.IsDir():
			return dir, errors.New("is not a directory")
		case err == nil, !absent(err), filepath.Dir(dir) == dir:
			return dir, err
		}
		dir = filepath.Dir(dir)
	}
}

// absent tells whether a file is not there, or cannot be because something on
// the way to it is no directory.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
