package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail"
)

// How the connection to an SMTP server is secured.
const (
	StartTLS    = "starttls" // asked for in the clear, and required
	ImplicitTLS = "tls"      // from the first byte (RFC 8314, 3.3)
	NoTLS       = "none"     // for a server on this machine
)

// SMTP says which server takes e-mail. The server's certificate is always
// verified.
type SMTP struct {
	Host     string
	Port     int    // 0: 587, 465 or 25 by Security
	Security string // StartTLS, ImplicitTLS or NoTLS; empty: StartTLS
	Username string // empty: no authentication
	Password string
	Hello    string        // the name in EHLO; empty: that of the machine
	From     string        // RFC 5322 mailbox
	Timeout  time.Duration // of each step; 0: 15 s
	TLS      *tls.Config   // nil: the system's roots, TLS 1.2 and newer
}

type smtpSender struct {
	SMTP
	port    int
	options []mail.Option
}

// NewSMTP returns a sender that gives each e-mail to a server, on a connection
// of its own.
func NewSMTP(c SMTP) (Sender, error) {
	if _, err := netmail.ParseAddress(c.From); err != nil {
		return nil, fmt.Errorf("smtp: from: %w", err)
	}
	if c.Timeout <= 0 {
		c.Timeout = 15 * time.Second
	}
	if c.TLS == nil {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	c.TLS = c.TLS.Clone()
	c.TLS.ServerName = c.Host
	s := &smtpSender{SMTP: c, port: c.Port}
	policy, port := mail.TLSMandatory, 587
	switch c.Security {
	case "", StartTLS:
	case ImplicitTLS:
		policy, port = mail.NoTLS, 465 // the connection is secure already
	case NoTLS:
		policy, port = mail.NoTLS, 25
	default:
		return nil, fmt.Errorf("smtp: no security %q", c.Security)
	}
	if s.port == 0 {
		s.port = port
	}
	s.options = []mail.Option{mail.WithPort(s.port), mail.WithTimeout(c.Timeout), mail.WithTLSConfig(c.TLS), mail.WithTLSPolicy(policy)}
	if c.Hello != "" {
		s.options = append(s.options, mail.WithHELO(c.Hello))
	}
	if c.Username != "" {
		// PLAIN and LOGIN are refused by the library where nothing is encrypted, but
		// for a server on this machine.
		s.options = append(s.options, mail.WithUsername(c.Username), mail.WithPassword(c.Password),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1, mail.SMTPAuthPlain, mail.SMTPAuthLogin))
	}
	_, err := mail.NewClient(c.Host, s.options...)
	return s, err
}

// Send implements [Sender].
func (s *smtpSender) Send(ctx context.Context, l Letter) (string, error) {
	m, err := compose(s.From, l)
	if err != nil {
		return "", &Failure{Permanent: true, Cause: err}
	}
	line := &line{dial: s.dial}
	defer line.close()
	client, err := mail.NewClient(s.Host, append(s.options, mail.WithDialContextFunc(line.open))...)
	if err != nil {
		return "", fmt.Errorf("smtp: %w", err)
	}
	defer context.AfterFunc(ctx, line.close)()
	err = client.DialAndSendWithContext(ctx, m)
	if m.IsDelivered() { // whatever went wrong afterwards, in RSET or QUIT
		return "250 " + m.ServerResponse(), nil
	}
	if err == nil {
		err = errors.New("the server did not take the message")
	}
	return "", failure(s.Host, err)
}

// failure reads an error of the library. Only what the server says of the
// message itself can be permanent: a refused greeting or password is a matter of
// configuration, which may be put right before the message expires.
func failure(host string, err error) error {
	var refused *mail.SendError
	if !errors.As(err, &refused) || refused.ErrorCode() == 0 {
		return fmt.Errorf("smtp %s: %w", host, err)
	}
	said, _, _ := strings.Cut(refused.Error(), ", affected ") // what follows we know
	return &Failure{Answer: said, Permanent: refused.ErrorCode() >= 500, Cause: err}
}

func (s *smtpSender) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: s.Timeout}
	if s.Security == ImplicitTLS {
		return (&tls.Dialer{NetDialer: d, Config: s.SMTP.TLS}).DialContext(ctx, network, address)
	}
	return d.DialContext(ctx, network, address)
}

// line is the one connection of a sending. The library leaves it open when
// greeting, STARTTLS or authentication fail, and does not end with the context.
type line struct {
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	mu     sync.Mutex
	conn   net.Conn
	closed bool
}

func (l *line) open(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := l.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	l.conn = conn
	return conn, nil
}

func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.conn != nil {
		_ = l.conn.Close() // a second time after QUIT
	}
}
