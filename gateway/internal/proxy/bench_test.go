package proxy_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/ops"
	"github.com/gatepost/gatepost/gateway/internal/proxy"
	"github.com/gatepost/gatepost/gateway/internal/route"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// BenchmarkRequest is a request through edge, proxy and a bare upstream, over
// loopback; allocations are those of all three.
func BenchmarkRequest(b *testing.B) {
	for _, c := range []struct{ name, cookie string }{{"public", ""}, {"signed in", "Cookie: " + cookieName + "=" + aliceValue + "\r\n"}} {
		b.Run(c.name, func(b *testing.B) {
			policy := route.Public
			if c.cookie != "" {
				policy = route.SignedIn
			}
			addr := benchGate(b, route.Route{
				Tenant: "t", Workspace: "w", Source: route.FromFile, Host: "app.test", PathPrefix: "/", Upstream: benchApp(b), Policy: policy, Assertion: true,
			})
			request := []byte("GET /x HTTP/1.1\r\nHost: app.test\r\n" + c.cookie + "\r\n")
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					b.Error(err)
					return
				}
				defer conn.Close()
				r := bufio.NewReader(conn)
				for pb.Next() {
					if _, err := conn.Write(request); err != nil {
						b.Error(err)
						return
					}
					res, err := http.ReadResponse(r, nil)
					if err != nil || res.StatusCode != 200 {
						b.Error(res, err)
						return
					}
					_, _ = io.Copy(io.Discard, res.Body)
				}
			})
		})
	}
}

// benchApp answers without looking.
func benchApp(b *testing.B) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 8192)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + ln.Addr().String()
}

func benchGate(b *testing.B, r route.Route) string {
	table, bad := route.Compile(route.Source{Scheme: "http", Routes: []route.Route{r.Normal()}})
	if len(bad) > 0 {
		b.Fatal(bad)
	}
	server := web.New(web.Config{NoAccessLog: true})
	m := ops.NewMetrics("")
	p := proxy.New(proxy.Config{
		Table: func() *route.Table { return table }, Door: newStub(), Errors: server.Errors(), Decided: m.Decision, Answered: m.Upstream,
	})
	server.App().Use(web.Hosts{Own: func() []string { return nil }, App: p.App}.Handler(server.Errors()))
	ln, err := web.Listen(b.Context(), web.Listening{Addr: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = server.Serve(ln) }()
	b.Cleanup(func() { p.Close(); _ = server.Shutdown(context.Background()) })
	return ln.Addr().String()
}
