package proxy_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCookiesOfRequests(t *testing.T) {
	t.Parallel()
	up := recorder(t)
	g := open(t, to(up.url))
	for _, c := range []struct {
		name, cookie string
		want         []string
	}{
		{"only ours", cookieName + "=" + aliceValue, nil},
		{"between others", "a=1; " + cookieName + "=" + aliceValue + "; b=2", []string{"a=1; b=2"}},
		{"both spellings and flows", cookieName + "=" + aliceValue + "; __Host-gp-0a1b2c3d=x; gp-flow-1=y; __Host-gp-flow-2=z; c=3", []string{"c=3"}},
		{"a stale one first", cookieName + "=old; " + cookieName + "=" + aliceValue + "; d=4", []string{"d=4"}},
		{"without a value", cookieName + "=" + aliceValue + "; gp-0a1b2c3d; e=5", []string{"e=5"}},
		{"similar names", cookieName + "=" + aliceValue + "; xgp-1=a; Gp-1=b; __host-gp-1=c", []string{"xgp-1=a; Gp-1=b; __host-gp-1=c"}},
	} {
		res, _ := g.get("http://app.test/", "Cookie", c.cookie)
		if res.StatusCode != 200 {
			t.Errorf("%s: %s", c.name, res.Status)
			continue
		}
		if got := fields(wait(t, "request", up.seen))["cookie"]; !slices.Equal(got, c.want) {
			t.Errorf("%s: the app gets %q, want %q", c.name, got, c.want)
		}
	}
	_, r := g.raw("GET / HTTP/1.1\r\nHost: app.test\r\nCookie: a=1\r\ncookie: " + cookieName + "=" + aliceValue + "\r\nCookie: b=2\r\n\r\n")
	answer(t, r)
	if got := fields(wait(t, "request", up.seen))["cookie"]; !slices.Equal(got, []string{"a=1", "b=2"}) {
		t.Errorf("several lines: %q", got)
	}
}

// A request cannot cause more than a few reads of the store.
func TestOnlyAFewSessionCookiesAreTried(t *testing.T) {
	t.Parallel()
	g := open(t, to(app(t, echoHeaders)))
	const name = cookieName + "="
	for _, c := range []struct {
		name, cookie string
		tried        []string
		status       int
	}{
		{"the last of four", name + "1; " + name + "2; " + name + "3; " + name + aliceValue, []string{"1", "2", "3", aliceValue}, 200},
		{"hundreds", strings.Repeat(name+"1; "+name+"2; "+name+"3; "+name+"4; ", 50) + name + aliceValue, []string{"1", "2", "3", "4"}, 401},
		{"the same again", strings.Repeat(name+"1; ", 50) + name + aliceValue, []string{"1", aliceValue}, 200},
	} {
		res, _ := g.get("http://app.test/", "Cookie", c.cookie)
		if res.StatusCode != c.status {
			t.Errorf("%s: %s", c.name, res.Status)
		}
		if diff := cmp.Diff(c.tried, g.door.tried); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestUpstreamCannotSetOurCookies(t *testing.T) {
	t.Parallel()
	evil := []string{
		cookieName + "=evil", "__Host-" + cookieName + "=evil; Path=/; Secure", " " + cookieName + " =evil", "gp-flow-1=evil", "=" + cookieName + "=evil",
		"== " + cookieName + "=evil", cookieName, "\t" + cookieName + "=evil; Domain=test", "gp-x=1",
	}
	good := []string{"app=1; Path=/", "__Host-app=2; Secure; Path=/", "xgp-=3", "a=gp-0a1b2c3d=4"}
	g := open(t, to(app(t, func(w http.ResponseWriter, _ *http.Request) {
		for _, v := range append(slices.Clone(evil), good...) {
			w.Header().Add("Set-Cookie", v)
		}
	})))
	res, _ := g.get("http://app.test/", signedIn()...)
	if diff := cmp.Diff(good, res.Header["Set-Cookie"]); diff != "" {
		t.Error(diff)
	}
}
