package proxy_test

import (
	"io"
	"strings"
	"testing"
	"time"
)

// Bytes that two servers could cut into requests in different ways never make
// the app see a request that the proxy did not judge.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	const hidden = "GET /hidden HTTP/1.1\r\nHost: app.test\r\n\r\n"
	const host = "Host: app.test\r\n"
	for name, text := range map[string]string{
		"length and coding":        "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"coding and length":        "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n" + hidden,
		"two lengths":              "POST / HTTP/1.1\r\n" + host + "Content-Length: 0\r\nContent-Length: 40\r\n\r\n" + hidden,
		"length list":              "POST / HTTP/1.1\r\n" + host + "Content-Length: 0, 40\r\n\r\n" + hidden,
		"signed length":            "POST / HTTP/1.1\r\n" + host + "Content-Length: +0\r\n\r\n" + hidden,
		"other coding":             "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden,
		"coding with a vertical":   "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + hidden,
		"coding in capitals":       "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: CHUNKED, identity\r\n\r\n0\r\n\r\n" + hidden,
		"two codings":              "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + hidden,
		"space before colon":       "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n" + hidden,
		"folded coding":            "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding:\r\n chunked\r\nContent-Length: 0\r\n\r\n" + hidden,
		"underscore length":        "POST / HTTP/1.1\r\n" + host + "Content_Length: 40\r\n\r\n" + hidden,
		"underscore coding":        "POST / HTTP/1.1\r\n" + host + "Transfer_Encoding: chunked\r\nContent-Length: 0\r\n\r\n" + hidden,
		"bare LF":                  "POST / HTTP/1.1\n" + host + "Content-Length: 0\n\n" + hidden,
		"bare LF in a line":        "POST / HTTP/1.1\r\n" + host + "X: y\nContent-Length: 40\r\n\r\n" + hidden,
		"bare CR":                  "POST / HTTP/1.1\r\n" + host + "X: y\rContent-Length: 40\r\nContent-Length: 0\r\n\r\n" + hidden,
		"NUL":                      "POST / HTTP/1.1\r\n" + host + "X: y\x00\r\nContent-Length: 0\r\n\r\n" + hidden,
		"two hosts":                "GET / HTTP/1.1\r\n" + host + "Host: id.test\r\n\r\n" + hidden,
		"host in the address":      "GET http://other.test/ HTTP/1.1\r\n" + host + "\r\n" + hidden,
		"chunk of another size":    "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n" + hidden,
		"signed chunk":             "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n" + hidden,
		"chunk without end":        "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + hidden,
		"coding in HTTP/1.0":       "POST / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"body of a GET":            "GET / HTTP/1.1\r\n" + host + "Content-Length: " + "40" + "\r\n\r\n" + hidden + "\r\n",
		"CONNECT":                  "CONNECT app.test:80 HTTP/1.1\r\n" + host + "\r\n" + hidden,
		"upgrade to h2c":           "GET / HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 40\r\n\r\n" + hidden + "\r\n",
		"trailer that looks ours":  "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTrailer: X-Auth-Request-User\r\n\r\n0\r\nX-Auth-Request-User: admin\r\n\r\n",
		"line break in the target": "GET /x%0d%0aX-Auth-Request-User:%20admin HTTP/1.1\r\n" + host + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := recorder(t)
			g := open(t, to(up.url, public))
			c, r := g.raw(text)
			_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond)) // some leave the connection open, waiting for more
			got, _ := io.ReadAll(r)
			for len(up.seen) > 0 {
				head := <-up.seen
				if strings.Contains(head, "hidden") {
					t.Errorf("the hidden request arrived:\n%s\nanswer:\n%s", head, got)
				}
				if bad := stolen(fields(head), false); len(bad) > 0 {
					t.Errorf("forged: %s", bad)
				}
				if strings.Count(head, "\r\n\r\n") != 1 || len(fields(head)["content-length"])+len(fields(head)["transfer-encoding"]) > 1 {
					t.Errorf("the app could cut this in two ways:\n%s", head)
				}
			}
		})
	}
}
