package proxy_test

import "testing"

func TestSmoke(t *testing.T) {
	g := open(t, to(app(t, echoHeaders)))
	res, body := g.get("http://app.test/x?y=1", signedIn()...)
	t.Log(res.Status, res.Header)
	t.Log(body)
}
