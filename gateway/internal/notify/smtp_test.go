package notify_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"mime"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/notify"
	"github.com/gatepost/gatepost/gateway/internal/notify/notifytest"
)

const from = "Gatepost Łódź <no-reply@id.example.com>"

func plainSMTP(t *testing.T, m *notifytest.Mailpit) notify.Sender {
	t.Helper()
	s, err := notify.NewSMTP(notify.SMTP{Host: m.Host, Port: m.Port, Security: notify.NoTLS, From: from})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRealMail: what a mail server that is not ours received.
func TestRealMail(t *testing.T) {
	t.Parallel()
	server := notifytest.Start(t)
	w := open(t, func(c *notify.Config) { c.Mail = plainSMTP(t, server) })
	for _, kind := range notify.Kinds() {
		m := sample(kind)
		m.To = string(kind) + "@example.com"
		m.Brand.Name = "Żółw & Sons"
		w.send(m)
	}
	w.deliver()
	for _, kind := range notify.Kinds() {
		want, got := sample(kind), server.Wait(string(kind)+"@example.com", 1)
		if got.From.Name != "Gatepost Łódź" || got.From.Address != "no-reply@id.example.com" {
			t.Errorf("%s: from %+v", kind, got.From)
		}
		if !strings.Contains(got.Subject, "Żółw & Sons") || !strings.Contains(got.Text, "Żółw & Sons") || !strings.Contains(got.HTML, "Żółw &amp; Sons") {
			t.Errorf("%s: the brand is lost: %q, %q", kind, got.Subject, got.Text)
		}
		if !strings.Contains(got.Text, want.Data.Code) || !strings.Contains(got.HTML, want.Data.Code) || !strings.Contains(got.Text, want.Data.Link) {
			t.Errorf("%s: code or link are lost:\n%s", kind, got.Text)
		}
		if !got.Date.Equal(w.Now()) {
			t.Errorf("%s: the date is %v", kind, got.Date)
		}
		entry := w.list(notify.Sent)
		if !strings.HasSuffix(got.MessageID, "@id.example.com") || !strings.Contains(got.Raw, entry[0].ID[:16]) {
			t.Errorf("%s: the Message-ID is %q", kind, got.MessageID)
		}
		for name, want := range map[string]string{
			"Auto-Submitted": "auto-generated", "MIME-Version": "1.0", "X-Mailer": "", "User-Agent": "",
		} {
			if got := got.Header(name); got != want {
				t.Errorf("%s: %s is %q", kind, name, got)
			}
		}
		if c := got.Header("Content-Type"); !strings.HasPrefix(c, "multipart/alternative;") {
			t.Errorf("%s: Content-Type is %q", kind, c)
		}
		plain, html := strings.Index(got.Raw, "text/plain; charset=UTF-8"), strings.Index(got.Raw, "text/html; charset=UTF-8")
		if plain < 0 || html < plain {
			t.Errorf("%s: text at %d, HTML at %d of\n%s", kind, plain, html, got.Raw)
		}
	}
	for _, e := range w.list(notify.Sent) {
		if !strings.HasPrefix(e.Answer, "250 ") || e.Tries != 1 {
			t.Errorf("the entry is %+v", e)
		}
	}
}

// TestRefusals: 451 is tried again and then delivered, 550 is the end.
func TestRefusals(t *testing.T) {
	t.Parallel()
	server := notifytest.Start(t)
	w := open(t, func(c *notify.Config) { c.Mail = plainSMTP(t, server) })
	server.Refuse(451)
	w.send(sample(notify.ActivateWithCode))
	w.deliver()
	list := w.list(notify.Queued)
	if len(list) != 1 || list[0].Tries != 1 || !strings.Contains(list[0].Answer, "451") || !list[0].Next.Equal(w.Now().Add(5*time.Second)) {
		t.Fatalf("after 451: %+v", list)
	}
	w.deliver()
	if n := w.list(notify.Queued)[0].Tries; n != 1 {
		t.Errorf("tried %d times before its time", n)
	}
	w.Advance(5 * time.Second)
	w.deliver()
	server.Accept()
	w.Advance(30 * time.Second)
	w.deliver()
	got := server.Wait("jan@example.com", 1)
	list = w.list(notify.Sent)
	if len(list) != 1 || list[0].Tries != 3 || !strings.HasPrefix(list[0].Answer, "250 ") {
		t.Errorf("after it was delivered: %+v", list)
	}
	if !strings.Contains(got.Text, "31415926") {
		t.Errorf("got %s", got.Text)
	}

	server.Clear()
	server.Refuse(550)
	w.send(sample(notify.ResetWithCode))
	w.deliver()
	list = w.list(notify.Dead)
	if len(list) != 1 || list[0].Tries != 1 || !strings.Contains(list[0].Answer, "550") || list[0].To != "j***@example.com" {
		t.Errorf("after 550: %+v", list)
	}
	server.Accept()
	w.Advance(time.Minute)
	w.deliver()
	if n := len(server.Messages()); n != 0 {
		t.Errorf("%d mails after 550", n)
	}
	if !w.log.has("a message was given up", "550", "j***@example.com") || !w.log.has("could not be sent yet", "451") {
		t.Errorf("the log:\n%s", w.log)
	}
	for _, secret := range []string{"31415926", "jan@example.com"} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log holds %s:\n%s", secret, w.log)
		}
	}
}

// TestSecureMail: STARTTLS is required, implicit TLS works, both with a password
// and with a certificate that is verified.
func TestSecureMail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	roots := certificate(t, dir)
	files := []string{"--smtp-tls-cert", dir + "/cert.pem", "--smtp-tls-key", dir + "/key.pem"}
	write(t, dir+"/users", "gatepost:{PLAIN}hunter2\n")
	auth := []string{"--smtp-auth-file", dir + "/users"}
	start := notifytest.Start(t, append(append(files, auth...), "--smtp-require-starttls")...)
	wrapped := notifytest.Start(t, append(append(files, auth...), "--smtp-require-tls")...)
	clear := notifytest.Start(t, "--smtp-auth-accept-any", "--smtp-auth-allow-insecure")
	trusted := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	for _, tc := range []struct {
		name   string
		server *notifytest.Mailpit
		smtp   notify.SMTP
		fails  string
	}{
		{"starttls", start, notify.SMTP{Security: notify.StartTLS, Username: "gatepost", Password: "hunter2", TLS: trusted}, ""},
		{"by default", start, notify.SMTP{Username: "gatepost", Password: "hunter2", TLS: trusted, Hello: "gp.example.com"}, ""},
		{"tls", wrapped, notify.SMTP{Security: notify.ImplicitTLS, Username: "gatepost", Password: "hunter2", TLS: trusted}, ""},
		{"password in the clear on this machine", clear, notify.SMTP{Security: notify.NoTLS, Username: "a", Password: "b"}, ""},
		{"wrong password", start, notify.SMTP{Username: "gatepost", Password: "hunter3", TLS: trusted}, "535"},
		{"no password", start, notify.SMTP{TLS: trusted}, "530"},
		{"unknown certificate", start, notify.SMTP{Username: "gatepost", Password: "hunter2"}, "certificate signed by unknown authority"},
		{"unknown certificate, tls", wrapped, notify.SMTP{Security: notify.ImplicitTLS}, "certificate signed by unknown authority"},
		{"no starttls there", clear, notify.SMTP{}, "does not support STARTTLS"},
		{"no security", start, notify.SMTP{Security: notify.NoTLS}, "530"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.smtp.Host, tc.smtp.Port, tc.smtp.From = tc.server.Host, tc.server.Port, from
			s, err := notify.NewSMTP(tc.smtp)
			if err != nil {
				t.Fatal(err)
			}
			to := strings.NewReplacer(" ", "-", ",", "").Replace(tc.name) + "@example.com"
			answer, err := notify.TryMail(t.Context(), s, to, time.Now())
			if tc.fails == "" {
				if err != nil || !strings.HasPrefix(answer, "250 ") {
					t.Fatalf("%q, %v", answer, err)
				}
				tc.server.Wait(to, 1)
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.fails) || strings.Contains(err.Error(), "hunter") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestServerAway: no connection, and a server that says nothing, are temporary.
func TestServerAway(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	silent, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s, err := notify.NewSMTP(notify.SMTP{Host: "127.0.0.1", Port: silent.Addr().(*net.TCPAddr).Port, Security: notify.NoTLS, From: from})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = notify.TryMail(ctx, s, "jan@example.com", began)
	if err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("a silent server: %v after %v", err, time.Since(began))
	}
	silent.Close()
	w := open(t, func(c *notify.Config) { c.Mail = s })
	w.send(sample(notify.OTP))
	w.deliver()
	if list := w.list(notify.Queued); len(list) != 1 || !strings.Contains(list[0].Answer, "connection refused") {
		t.Errorf("nobody there: %+v", list)
	}
	var failure *notify.Failure
	if _, err := notify.TryMail(t.Context(), s, "jan@example.com", began); err == nil || errors.As(err, &failure) {
		t.Errorf("got %v", err)
	}
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mail")
	w := open(t, func(c *notify.Config) { c.Mail = notify.NewDirectory(dir, from) })
	w.send(sample(notify.ActivateWithLink))
	w.deliver()
	w.Advance(time.Minute)
	w.send(sample(notify.OTP))
	w.deliver()
	files, err := filepath.Glob(dir + "/*")
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for i, part := range []string{"Activate", "271828"} {
		f, err := os.Open(files[i])
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if info, err := f.Stat(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v %v", files[i], info.Mode(), err)
		}
		m, err := mail.ReadMessage(f)
		if err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil || !strings.Contains(subject, part) || m.Header.Get("To") != "<jan@example.com>" {
			t.Errorf("%s: %v %q", files[i], err, m.Header)
		}
	}
	if e := w.list(notify.Sent)[0]; e.Answer != "written to "+files[0] {
		t.Errorf("the answer is %q", e.Answer)
	}
}

// certificate makes a certificate for 127.0.0.1 in dir and returns the pool that
// trusts it.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})))
	write(t, dir+"/key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return roots
}
