package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/config"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		set  func(t *testing.T, dir string, c *config.Config)
		want []string // how the lines begin
	}{
		{"a fresh machine", func(*testing.T, string, *config.Config) {}, nil},
		{"everything there", func(t *testing.T, dir string, c *config.Config) {
			certificate(t, dir)
			c.Listen.Public.TLS = config.TLS{Certificate: config.Path(dir + "/cert.pem"), Key: config.Path(dir + "/key.pem")}
			c.BaseURL = "https://id.example.com"
			c.Mail.Driver = config.Directory
			ring(t, string(c.DataDir)+"/keys")
		}, nil},
		{"nothing of TLS", func(_ *testing.T, dir string, c *config.Config) {
			c.Listen.Public.TLS = config.TLS{Certificate: config.Path(dir + "/cert.pem"), Key: config.Path(dir + "/key.pem")}
			c.BaseURL = "https://id.example.com"
		}, []string{"listen.public.tls: open DIR/cert.pem: no such file or directory"}},
		{"who issues certificates of clients", func(t *testing.T, dir string, c *config.Config) {
			certificate(t, dir)
			file(t, dir+"/ca.pem", "nothing")
			c.Listen.Public.TLS = config.TLS{
				Certificate: config.Path(dir + "/cert.pem"), Key: config.Path(dir + "/key.pem"),
				ClientCertificates: config.Request, ClientCA: config.Path(dir + "/ca.pem"),
			}
			c.BaseURL = "https://id.example.com"
		}, []string{"listen.public.tls.client_ca: DIR/ca.pem holds no certificate in PEM"}},
		{"a file in the way", func(t *testing.T, dir string, c *config.Config) {
			file(t, dir+"/taken", "")
			c.DataDir = config.Path(dir + "/taken/data")
		}, []string{"data_dir: DIR/taken"}},
		{"directories apart", func(t *testing.T, dir string, c *config.Config) {
			file(t, dir+"/taken", "")
			c.Mail = config.Mail{Driver: config.Directory, Directory: config.Path(dir + "/taken"), From: c.Mail.From}
			c.Store.Path = "/proc/gatepost/x.db"
		}, []string{"store.path: /proc cannot be written: ", "mail.directory: DIR/taken: is not a directory"}},
		{"templates that do not render", func(t *testing.T, dir string, c *config.Config) {
			if err := os.Mkdir(dir+"/messages", 0o700); err != nil {
				t.Fatal(err)
			}
			file(t, dir+"/messages/otp.sms.txt", "{{.Kode}}")
			file(t, dir+"/messages/opt.sms.txt", "{{.Code}}")
			c.Messages.Templates = config.Path(dir + "/messages")
		}, []string{
			"messages.templates: DIR/messages/opt.sms.txt: no message has a template of this name",
			"messages.templates: DIR/messages/otp.sms.txt: template: otp.sms.txt:1:2: executing",
		}},
		{"no templates there", func(_ *testing.T, dir string, c *config.Config) {
			c.Messages.Templates = config.Path(dir + "/messages")
		}, []string{"messages.templates: DIR/messages: no such file or directory"}},
		{"keys that others read", func(t *testing.T, dir string, c *config.Config) {
			ring(t, dir+"/ring")
			if err := os.Chmod(dir+"/ring", 0o644); err != nil {
				t.Fatal(err)
			}
			c.Keys.File = config.Path(dir + "/ring")
		}, []string{"keys.file: key file DIR/ring: mode 0644 lets others read it"}},
		{"no keys beside a shared store", func(_ *testing.T, _ string, c *config.Config) {
			c.Store = config.Store{Driver: config.Mongo, URI: "mongodb://db", Database: "gatepost"}
		}, []string{"keys.file: DIR/data/keys does not exist: run `gatepost keys init`"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c := config.Default()
			c.DataDir = config.Path(dir + "/data")
			if err := os.Mkdir(string(c.DataDir), 0o700); err != nil {
				t.Fatal(err)
			}
			tc.set(t, dir, &c)
			c, err := config.Finish(c)
			if err != nil {
				t.Fatal(err)
			}
			before := tree(t, dir)
			var got []string
			if err := config.Check(c); err != nil {
				got = strings.Split(strings.ReplaceAll(err.Error(), dir, "DIR"), "\n")
			}
			if len(got) != len(tc.want) {
				t.Fatalf("got %q", got)
			}
			for i, want := range tc.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("line %d is %q, want %q", i, got[i], want)
				}
			}
			if after := tree(t, dir); after != before {
				t.Errorf("Check left something behind: %s, before: %s", after, before)
			}
		})
	}
}

func tree(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		names = append(names, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

func file(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func ring(t *testing.T, path string) {
	t.Helper()
	if _, err := vault.Create(path); err != nil {
		t.Fatal(err)
	}
}

func certificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"id.example.com"}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file(t, dir+"/cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	file(t, dir+"/key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}
