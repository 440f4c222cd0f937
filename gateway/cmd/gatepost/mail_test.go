package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/notify/notifytest"
)

// gatepost runs the program's command line.
func gatepost(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	c := root()
	c.SetOut(&out)
	c.SetArgs(args)
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gatepost.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func smtpConfig(t *testing.T, host string, port int) string {
	t.Helper()
	return configFile(t, fmt.Sprintf("mail: {driver: smtp, from: Acme <id@example.com>, smtp: {host: %s, port: %d, security: none}}\n", host, port))
}

func TestMailTest(t *testing.T) {
	t.Parallel()
	server := notifytest.Start(t)
	file := smtpConfig(t, server.Host, server.Port)
	out, err := gatepost(t, "mail", "test", "--to", "ops@example.com", "--config", file)
	if err != nil || !strings.HasPrefix(out, "Sent to ops@example.com: 250 2.0.0 Ok: queued as ") || strings.Count(out, "\n") != 1 {
		t.Errorf("%q, %v", out, err)
	}
	mail := server.Wait("ops@example.com", 1)
	if mail.Subject != "Gatepost test message" || !strings.Contains(mail.Text, "so they work") || !strings.Contains(mail.HTML, "so they work") || mail.From.Name != "Acme" {
		t.Errorf("got %+v", mail)
	}
	server.Refuse(550)
	out, err = gatepost(t, "mail", "test", "--to", "ops@example.com", "--config", file)
	if err == nil || len(lines(err)) != 1 || !strings.HasPrefix(err.Error(), "the test message was not sent: sending SMTP RCPT TO command: 550 ") || out != "" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestMailTestFails(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	gone, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	port := gone.Addr().(*net.TCPAddr).Port
	dir := t.TempDir()
	for _, tc := range []struct {
		name, file, to, want string
	}{
		{"no driver", configFile(t, ""), "a@example.com", "mail.driver is none"},
		{"no address", configFile(t, "mail: {driver: directory}"), "example.com", "must be an e-mail address"},
		{"broken configuration", configFile(t, "mail: {driver: smpt}"), "a@example.com", `mail.driver: "smpt" is not allowed here`},
		{"nobody there", smtpConfig(t, "127.0.0.1", port), "a@example.com", "connection refused"},
		{"no directory", configFile(t, "mail: {driver: directory, directory: /proc/mail}"), "a@example.com", "/proc/mail"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			out, err := gatepost(t, "mail", "test", "--to", tc.to, "--config", tc.file)
			if err == nil || !strings.Contains(err.Error(), tc.want) || len(lines(err)) != 1 || out != "" {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
	out, err := gatepost(t, "mail", "test", "--to", "a@example.com", "--config", configFile(t, "mail: {driver: directory, directory: "+dir+"}"))
	if err != nil || !strings.Contains(out, "written to "+dir) {
		t.Errorf("%q, %v", out, err)
	}
}
