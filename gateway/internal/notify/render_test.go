package notify_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatepost/gatepost/gateway/internal/notify"
)

var update = flag.Bool("update", false, "rewrite the golden messages")

func sample(kind notify.Kind) notify.Message {
	m := notify.Message{
		Tenant: "t", Workspace: "w", Pool: "p", User: "u", Kind: kind, To: "jan@example.com", Channel: notify.Email,
		Brand: notify.Brand{Name: "Acme & Sons", Accent: "#ffcc00"},
		Data:  notify.Data{Name: "Jan", Identifier: "jan", Code: "31415926", Life: time.Hour},
	}
	switch kind {
	case notify.OTP:
		m.Data.Code, m.Data.Life = "271828", 5*time.Minute
	case notify.IdentifierUsed:
		m.Data.Code = ""
	}
	if strings.HasSuffix(string(kind), "_with_link") || kind == notify.IdentifierUsed {
		m.Data.Link = "https://id.example.com/t/identity/p/activate?code=MTIz&server_id=w"
	}
	return m
}

// TestMessages compares what is sent with testdata/golden: subject, text, HTML
// and SMS of each kind.
func TestMessages(t *testing.T) {
	t.Parallel()
	for _, kind := range notify.Kinds() {
		for _, invitation := range []bool{false, true} {
			name := string(kind)
			if invitation {
				if !strings.HasPrefix(name, "activate") {
					continue
				}
				name += "-invitation"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := open(t)
				m := sample(kind)
				m.Data.Invitation = invitation
				w.send(m)
				m.Channel, m.To = notify.SMS, "+48 512 345 678"
				w.send(m)
				w.deliver()
				mail, sms := w.mail.letters()[0], w.sms.letters()[0]
				got := "Subject: " + mail.Subject + "\n\n" + mail.Text + "\n---------- SMS to " + sms.To + "\n" + sms.Text + "\n---------- HTML\n" + mail.HTML
				path := filepath.Join("testdata/golden", name+".golden")
				if *update {
					write(t, path, got)
					return
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", path, diff)
				}
				checkMessage(t, m, mail, sms)
			})
		}
	}
}

func checkMessage(t *testing.T, m notify.Message, mail, sms notify.Letter) {
	t.Helper()
	if m.Kind != notify.OTP && m.Data.Code != "" && strings.Contains(mail.Subject, m.Data.Code) {
		t.Error("the subject shows the code")
	}
	if !strings.Contains(mail.Text, m.Data.Code) || !strings.Contains(mail.HTML, m.Data.Code) || !strings.Contains(sms.Text, m.Data.Code) {
		t.Error("the code is missing")
	}
	if !strings.Contains(mail.Text, m.Data.Link) {
		t.Error("the link is missing")
	}
	for _, remote := range []string{"<img", "src=", "url(", "<link", "<script", "@import"} {
		if strings.Contains(mail.HTML, remote) {
			t.Errorf("the HTML loads something: %s", remote)
		}
	}
	if len(sms.Text) > 160+len(m.Data.Link) {
		t.Errorf("the SMS has %d characters", len(sms.Text))
	}
}

// TestStrangersWords: a name that somebody registered is not a way to send
// advertising to strangers.
func TestStrangersWords(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, identifier string
		want, not        string
	}{
		{"Jan  Łukasz", "jan", "Hello Jan Łukasz,", ""},
		{"<b>Jan</b>", "jan", "Hello,", "Jan</b>"},
		{"Win at evil.example", "jan", "Hello,", "evil"},
		{"https://evil", "jan", "Hello,", "evil"},
		{"a\r\nBcc: x@y", "jan", "Hello,", "Bcc"},
		{strings.Repeat("buy ", 30), "jan", "Hello,", "buy"},
		{"Jan", "evil.example/win", "Hello Jan,", "evil"},
		{"Jan", "JAN@example.com", " as jan@example.com", ""},
	} {
		t.Run(tc.name+" "+tc.identifier, func(t *testing.T) {
			t.Parallel()
			w := open(t)
			m := sample(notify.ResetWithCode)
			m.Data.Name, m.Data.Identifier = tc.name, tc.identifier
			w.send(m)
			w.deliver()
			got := w.mail.letters()[0]
			if !strings.Contains(got.Text, tc.want) {
				t.Errorf("%q is not in\n%s", tc.want, got.Text)
			}
			if all := got.Text + got.HTML + got.Subject; tc.not != "" && strings.Contains(all, tc.not) {
				t.Errorf("%q is in\n%s", tc.not, all)
			}
		})
	}
}

func TestOwnTemplates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/otp.email.subject", "{{.Brand}}:\n  your code")
	write(t, dir+"/otp.email.txt", "{{template \"hello\" .}} {{.Code}}")
	write(t, dir+"/layout.txt", `{{define "hello"}}Dzień dobry!{{end}}`)
	templates, err := notify.LoadTemplates(dir)
	if err != nil {
		t.Fatal(err)
	}
	w := open(t, func(c *notify.Config) { c.Templates = templates })
	w.send(sample(notify.OTP))
	w.send(sample(notify.VerifyWithCode))
	w.deliver()
	got := w.mail.by(notify.OTP)
	if got.Subject != "Acme & Sons: your code" || got.Text != "Dzień dobry! 271828\n" || !strings.Contains(got.HTML, "271828") {
		t.Errorf("got %+v", got)
	}
	if got := w.mail.by(notify.VerifyWithCode).Text; !strings.HasPrefix(got, "Dzień dobry!\n\nSomebody") {
		t.Errorf("the layout does not reach the others: %s", got)
	}
}

func TestBrokenTemplates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"otp.email.txt":                             "{{.Cod}}",
		"otp.email.html":                            "<p>{{.Code}",
		"otp.sms.txt":                               "your code",
		"otp.email.subject":                         " {{if false}}x{{end}}\n",
		"activate_account_with_link.email.txt":      "{{.Code}}",
		"activate_account_with_link.email.html":     "<a href='{{.Link}}'>{{if .Invitation}}x{{else}}{{.Code}}{{end}}</a>",
		"reset_credentials_with_code.email.subject": "{{.Code}}",
		"opt.email.txt":                             "{{.Code}}",
		"layout.txt":                                "{{define",
	} {
		write(t, filepath.Join(dir, name), text)
	}
	_, err := notify.LoadTemplates(dir)
	if err == nil {
		t.Fatal("no error")
	}
	got := strings.ReplaceAll(err.Error(), dir, "DIR")
	for _, want := range []string{
		"DIR/otp.email.txt: template: otp.email.txt:1:2: executing",
		"DIR/otp.email.html: template: otp.email.html:1:",
		"DIR/otp.sms.txt: lacks {{.Code}}",
		"DIR/otp.email.subject: comes out empty",
		"DIR/activate_account_with_link.email.txt: lacks {{.Link}}",
		"DIR/activate_account_with_link.email.html: lacks {{.Code}}",
		"DIR/reset_credentials_with_code.email.subject: shows the code",
		"DIR/opt.email.txt: no message has a template of this name",
		"DIR/layout.txt: template: layout.txt:1:",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n") + 1; n != 9 {
		t.Errorf("%d problems:\n%s", n, got)
	}
	if _, err := notify.LoadTemplates(dir + "/none"); err == nil || !strings.HasSuffix(err.Error(), "/none: no such file or directory") {
		t.Errorf("got %v", err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

var _ notify.Sender = senderFunc(nil)

type senderFunc func(ctx context.Context, l notify.Letter) (string, error)

func (f senderFunc) Send(ctx context.Context, l notify.Letter) (string, error) { return f(ctx, l) }
