package web_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/web"
	"github.com/gofiber/fiber/v2"
)

// BenchmarkServe is one small request on a kept connection: guard, path, visit,
// dispatch, answer.
func BenchmarkServe(b *testing.B) {
	ln, err := web.Listen(b.Context(), web.Listening{Addr: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	s := web.New(web.Config{NoAccessLog: true})
	s.App().Use(func(c *fiber.Ctx) error {
		if web.Read(c).Path != "/a/b" {
			return fiber.ErrNotFound
		}
		return c.SendString("ok")
	})
	go func() { _ = s.Serve(ln) }()
	defer func() { _ = s.Shutdown(b.Context()) }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	const request = "GET /a/b?c=d HTTP/1.1\r\nHost: app.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html\r\n" +
		"Accept-Language: en\r\nAccept-Encoding: gzip\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nCookie: a=b; c=d\r\n\r\n"
	r := bufio.NewReader(c)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.WriteString(c, request); err != nil {
			b.Fatal(err)
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != http.StatusOK {
			b.Fatal(res, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
	}
}
