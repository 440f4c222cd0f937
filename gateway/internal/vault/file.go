package vault

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const maxFile = 64 << 10 // a key is about 60 bytes

// Load reads a ring from a key file: one "id:base64" a line, the sealing key
// first; empty lines and lines that begin with # are skipped. A file that others
// than its owner may read or write is refused. Errors name the path, the line
// and what to do, and never show a secret.
func Load(path string) (*Ring, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	defer func() { _ = f.Close() }() // read only: nothing to lose
	if err := private(f, path); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("key file %s: larger than %d bytes: this is not a key file", path, maxFile)
	}
	list, err := parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	r, err := New(list)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return r, nil
}

// private checks the open file, not the name: the name may be swapped.
func private(f *os.File, path string) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("key file %s: not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("key file %s: mode %04o lets others read it: run: chmod 600 %s", path, mode, path)
	}
	return nil
}

func parse(text string) ([]Key, error) {
	var list []Key
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, encoded, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("line %d: want id:base64", n)
		}
		secret, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil {
			return nil, fmt.Errorf("line %d (%.32q): the part after the colon is not base64", n, id)
		}
		if len(secret) != SecretSize {
			return nil, fmt.Errorf("line %d (%.32q): the secret has %d bytes, want %d", n, id, len(secret), SecretSize)
		}
		list = append(list, Key{ID: strings.TrimSpace(id), Secret: secret})
	}
	if len(list) == 0 {
		return nil, errors.New("holds no key")
	}
	return list, nil
}

// Create writes a key file with one new key and returns its ring. The file
// appears whole, with mode 0600, or not at all; one that is there already is
// left alone (errors.Is fs.ErrExist).
func Create(path string) (*Ring, error) {
	k := GenerateKey()
	r, err := New([]Key{k})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("# Gatepost key ring: the first key seals, all open. Losing this file loses every sealed secret.\n")
	fmt.Fprintf(&b, "%s:%s\n", k.ID, base64.StdEncoding.EncodeToString(k.Secret))
	if err := writeNew(path, b.Bytes()); err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return r, nil
}

// writeNew links a complete file into place. A rename would overwrite the keys
// of somebody who was faster.
func writeNew(path string, text []byte) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".keys-*") // mode 0600
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	defer func() {
		if gone := os.Remove(tmp.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("remove: %w", gone))
		}
	}()
	_, werr := tmp.Write(text)
	if err := errors.Join(werr, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := os.Link(tmp.Name(), path); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	return syncDir(dir)
}

// syncDir makes the new name last: data sealed under a key that a power cut
// takes away would be lost.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}
