package proxy

import (
	"context"

	"github.com/valyala/fasthttp"

	"github.com/gatepost/gatepost/gateway/internal/web"
)

// Expect judges a request that waits with "Expect: 100-continue": an upload that
// will be refused is refused before it is sent. It is for web.Config.Expect;
// requests for other hosts may come.
func (p *Proxy) Expect(v web.Visit, h *fasthttp.RequestHeader) int {
	if p.cfg.Table().On(web.Authority(v.Scheme, v.Host)) == nil || ownPath(&v) {
		return fasthttp.StatusContinue
	}
	pl, err := p.find(&v)
	if err != nil {
		return web.Status(err)
	}
	if limit := pl.route.MaxBody; limit > 0 && int64(h.ContentLength()) > limit {
		return fasthttp.StatusRequestEntityTooLarge
	}
	var in inbound
	if err := in.read(h.RawHeaders(), pl.custom); err != nil {
		return web.Status(err)
	}
	if _, _, err := p.admit(context.Background(), pl, &in); err != nil {
		return web.Status(err)
	}
	return fasthttp.StatusContinue
}
