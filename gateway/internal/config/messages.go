package config

import (
	"fmt"
	"net/http"
	"net/mail"
	"net/url"
	"regexp"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/notify"
)

// The drivers of Mail.
const (
	NoMail     = "none"      // codes and links cannot be sent
	Directory  = "directory" // each message becomes one .eml file
	SMTPServer = "smtp"      // a mail server takes them
)

// Mail says how e-mail leaves.
type Mail struct {
	Driver    string `json:"driver"`
	Directory Path   `json:"directory"`
	From      string `json:"from"` // RFC 5322 mailbox
	SMTP      SMTP   `json:"smtp"`
}

// SMTP names the server of driver smtp.
type SMTP struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`     // 0: the usual one of Security
	Security string `json:"security"` // starttls, tls or none
	Username string `json:"username"`
	Password Secret `json:"password"`
	Hello    string `json:"hello"` // the name that is said to the server
}

// Sender returns what the driver stands for; nil for none.
func (m Mail) Sender() (notify.Sender, error) {
	switch m.Driver {
	case Directory:
		return notify.NewDirectory(string(m.Directory), m.From), nil
	case SMTPServer:
		return notify.NewSMTP(notify.SMTP{
			Host: m.SMTP.Host, Port: m.SMTP.Port, Security: m.SMTP.Security, Hello: m.SMTP.Hello,
			Username: m.SMTP.Username, Password: string(m.SMTP.Password), From: m.From,
		})
	}
	return nil, nil
}

// The drivers of SMS.
const (
	NoSMS   = "none"
	Webhook = "webhook" // a provider, or a program of the operator's, takes them as JSON
)

// SMS says how SMS leave.
type SMS struct {
	Driver      string `json:"driver"`
	URL         string `json:"url"`
	HeaderName  string `json:"header_name"` // one more header of the request
	HeaderValue Secret `json:"header_value"`
	Secret      Secret `json:"secret"` // of the signature
}

// Sender returns what the driver stands for; nil for none. client is the one for
// calls to the outside.
func (s SMS) Sender(client *http.Client) notify.Sender {
	if s.Driver != Webhook {
		return nil
	}
	return notify.NewWebhook(notify.Webhook{
		URL: s.URL, HeaderName: s.HeaderName, HeaderValue: string(s.HeaderValue), Secret: string(s.Secret), Client: client,
	})
}

// Messages is about what people are sent, whatever the way.
type Messages struct {
	Templates Path          `json:"templates"` // directory of templates that replace the built-in ones
	Limits    notify.Limits `json:"limits"`
}

func (r *rules) mail(m Mail) {
	r.oneOf("mail.driver", m.Driver, NoMail, Directory, SMTPServer)
	if _, err := mail.ParseAddress(m.From); err != nil {
		r.add("mail.from", "%q is not an address such as Gatepost <gatepost@example.com>", m.From)
	}
	switch {
	case m.Driver == SMTPServer:
		r.smtp(m.SMTP)
	case m.SMTP.Host != "":
		r.add("mail.smtp.host", "is for driver %s; the driver is %s", SMTPServer, m.Driver)
	}
}

var (
	hostName   = regexp.MustCompile(`^[A-Za-z0-9:][A-Za-z0-9._:-]*$`) // or an address
	headerName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
)

func (r *rules) smtp(s SMTP) {
	if s.Host == "" {
		r.add("mail.smtp.host", "is missing: which server takes the mail?")
	} else if !hostName.MatchString(s.Host) {
		r.add("mail.smtp.host", "%q is not the name of a mail server, such as smtp.example.com", s.Host)
	}
	if s.Port < 0 || s.Port > 65535 {
		r.add("mail.smtp.port", "%d is not a port", s.Port)
	}
	r.oneOf("mail.smtp.security", s.Security, notify.StartTLS, notify.ImplicitTLS, notify.NoTLS)
	if s.Hello != "" && !hostName.MatchString(s.Hello) {
		r.add("mail.smtp.hello", "%q is not a host name", s.Hello)
	}
	switch {
	case s.Username == "" && s.Password != "":
		r.add("mail.smtp.username", "is missing: the password is whose?")
	case s.Username != "" && s.Password == "":
		r.add("mail.smtp.password", "is missing")
	case s.Username != "" && s.Security == notify.NoTLS && !loopback(s.Host):
		r.add("mail.smtp.security", "may be none with a password only on this machine: anywhere else it would cross the network in the clear")
	}
}

func (r *rules) sms(s SMS) {
	r.oneOf("sms.driver", s.Driver, NoSMS, Webhook)
	if s.Driver != Webhook {
		if s.URL != "" {
			r.add("sms.url", "is for driver %s; the driver is %s", Webhook, s.Driver)
		}
		return
	}
	u, err := url.Parse(s.URL)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil:
		r.add("sms.url", "wants an address such as https://sms.example.com/send")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		r.add("sms.url", "may begin with http only on this machine: anywhere else codes would cross the network in the clear")
	}
	r.header(s)
}

func (r *rules) header(s SMS) {
	switch {
	case s.HeaderName == "" && s.HeaderValue != "":
		r.add("sms.header_name", "is missing: which header has the value?")
	case s.HeaderName != "" && !headerName.MatchString(s.HeaderName):
		r.add("sms.header_name", "%q is not the name of a header", s.HeaderName)
	case s.HeaderName != "" && s.HeaderValue == "":
		r.add("sms.header_value", "is missing")
	}
}

func (r *rules) messages(m Messages) {
	l := m.Limits
	r.between("messages.limits.cooldown", l.Cooldown, 0, time.Hour)
	for _, n := range []struct {
		key   string
		value int
	}{
		{"per_address_hour", l.PerAddressHour},
		{"per_address_day", l.PerAddressDay},
		{"per_network_hour", l.PerNetworkHour},
		{"per_asker_hour", l.PerAskerHour},
		{"sms_per_hour", l.SMSPerHour},
		{"sms_per_country_hour", l.SMSPerCountryHour},
	} {
		r.atLeast("messages.limits."+n.key, n.value, 0)
	}
	for i, code := range l.SMSCountries {
		if !notify.Country(code) {
			r.add(fmt.Sprintf("messages.limits.sms_countries[%d]", i), "%q is not the ISO 3166 code of a country, such as PL", code)
		}
	}
}

// templates judges the operator's texts by rendering each.
func (m *machine) templates(dir string) {
	_, err := notify.LoadTemplates(dir)
	if err == nil {
		return
	}
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	for _, err := range list {
		m.add("messages.templates", "%s", err)
	}
}
