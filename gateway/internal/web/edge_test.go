package web_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/web"
	"github.com/gofiber/fiber/v2"
)

// ask sends a request on a connection of its own, and returns that with the
// body of the answer.
func (h *harness) ask(t *testing.T, path string) (c net.Conn, answer string, err error) {
	t.Helper()
	c, err = net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_, _ = io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return c, "", err
	}
	body, err := io.ReadAll(res.Body)
	return c, string(body), err
}

// again asks until there is a place for the connection.
func (h *harness) again(t *testing.T, path string) net.Conn {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, _, err := h.ask(t, path)
		if err == nil {
			return c
		}
		_ = c.Close()
		if time.Now().After(deadline) {
			t.Fatalf("the places are not free again: %v", err)
		}
	}
}

// TestConnectionsOfAll: a connection counts until it is closed, whatever is
// spoken on it.
func TestConnectionsOfAll(t *testing.T) {
	t.Parallel()
	h := start(t, web.Config{MaxConns: 3}, func(s *web.Server) {
		s.App().Get("/plain", func(c *fiber.Ctx) error { return c.SendString("plain") })
		s.App().Get("/upgrade", func(c *fiber.Ctx) error {
			c.Context().HijackSetNoResponse(true)
			c.Context().Hijack(func(c net.Conn) {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nupgraded")
				_, _ = io.Copy(io.Discard, c) // until the client leaves
			})
			return nil
		})
	})
	var open []net.Conn
	for i, path := range []string{"/upgrade", "/plain", "/upgrade", "/plain", "/upgrade"} {
		c, _, err := h.ask(t, path)
		open = append(open, c)
		if (err != nil) != (i >= 3) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	refused := 0
	for _, s := range h.observed() {
		if s.Refused == "connections" && s.Status == http.StatusServiceUnavailable {
			refused++
		}
	}
	if refused != 2 {
		t.Errorf("%d refusals observed, want 2", refused)
	}
	for _, c := range open[:2] { // an upgraded one and a plain one
		_ = c.Close()
	}
	h.again(t, "/upgrade")
	h.again(t, "/plain")
	if _, _, err := h.ask(t, "/plain"); err == nil {
		t.Error("a fourth one was let in")
	}
}
