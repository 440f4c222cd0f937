package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// requestLimit bounds the work for one request.
const requestLimit = 30 * time.Second

// API serves the operations. Its fields are set before Mount.
type API struct {
	Parts
	replays *replays
}

// New returns the API over its parts.
func New(ctx context.Context, p Parts) (*API, error) {
	r, err := openReplays(ctx, p.Store, p.Ring)
	if err != nil {
		return nil, err
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	return &API{Parts: p, replays: r}, nil
}

// operations returns every operation in the order in which the router asks.
func (a *API) operations() []operation {
	var all []operation
	for _, area := range [][]operation{
		a.tenantOperations(), a.flagOperations(), a.roleOperations(), a.serverOperations(), a.clientOperations(),
		a.idpOperations(), a.routeOperations(), a.revocationOperations(), a.catalogueOperations(), a.keyOperations(),
		a.poolOperations(), a.schemaOperations(), a.userOperations(), a.groupOperations(), a.limitOperations(),
		a.registrationOperations(), a.codeOperations(), a.passwordOperations(), a.factorOperations(), a.selfOperations(), a.sessionOperations(),
		a.importOperations(), a.identityConfigOperations(),
	} {
		all = append(all, area...)
	}
	return arrange(all)
}

// Mount adds the operations; whatever else is below /api is 404. Those of people
// lie in their workspace, among its pages.
func (a *API) Mount(r fiber.Router) {
	g := r.Group("/api", web.With(a.Errors.REST), noStore)
	for _, o := range a.operations() {
		if path, ok := strings.CutPrefix(o.path, "/api"); ok {
			g.Add(o.method, path, a.serve(o))
		} else {
			r.Add(o.method, o.path, web.With(a.Errors.REST), noStore, a.serve(o))
		}
	}
	g.Use(func(*fiber.Ctx) error {
		return fault.New(fault.NotFound, "There is no such operation.", nil)
	})
}

func noStore(c *fiber.Ctx) error {
	c.Set("Cache-Control", "no-store")
	return c.Next()
}

// serve is the dispatcher: too fast? who calls, may they, was it done already, do it.
func (a *API) serve(o operation) fiber.Handler {
	return func(c *fiber.Ctx) error {
		ctx, cancel := web.Context(c, requestLimit)
		defer cancel()
		x := &call{API: a, c: c, ctx: ctx, op: o, visit: web.Read(c)}
		if err := x.withinRate(); err != nil {
			return err
		}
		if err := x.authorize(); err != nil {
			return err
		}
		if err := x.readIfMatch(); err != nil {
			return err
		}
		if o.once && web.Header(c, "X-Idempotency-Key") != "" {
			return x.replayable()
		}
		r, err := o.run(x)
		if err != nil {
			return err
		}
		return x.answer(r)
	}
}

// answer writes a success.
func (x *call) answer(r reply) error {
	if x.op.etag {
		x.c.Set("ETag", web.Tag(x.Position(), r.rev))
	}
	if r.body == nil || x.op.ok == http.StatusNoContent {
		x.c.Status(x.op.ok)
		return nil
	}
	if v, ok := r.body.(raw); ok {
		x.c.Set("Content-Type", v.kind)
		return x.c.Status(x.op.ok).Send(v.data)
	}
	return x.c.Status(x.op.ok).JSON(r.body)
}
