package gateway

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gatepost/gatepost/gateway/internal/config"
	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/promote"
)

// operatorBody is the most of a body that the operator's socket reads.
const operatorBody = 16 << 20

// operatorPeople is where the users of a pool are imported to and exported from
// on the operator's socket: like the operations of the API, without a token.
const operatorPeople = "/tenants/{tid}/pools/{ipID}/users"

// OperatorPeople returns a client for the gateway on this machine and the address
// below which a pool's users are imported and exported.
func OperatorPeople(c config.Config, tenant, pool string) (*http.Client, string) {
	path := operatorSocket(c)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial}},
		"http://operator/tenants/" + url.PathEscape(tenant) + "/pools/" + url.PathEscape(pool) + "/users"
}

func (g *Gateway) operatorUsers(mux *http.ServeMux) {
	people := &promote.Users{Users: g.pools.Users, Groups: g.pools.Groups, Now: g.cfg.Now}
	mux.HandleFunc("POST "+operatorPeople+"/import", func(w http.ResponseWriter, r *http.Request) {
		answer, err := importPeople(people, r)
		answerOperator(w, answer, err)
	})
	mux.HandleFunc("GET "+operatorPeople+"/export", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		limit, err := strconv.Atoi(q.Get("limit"))
		if err != nil || limit < 1 {
			limit = 100
		}
		page, err := people.Export(r.Context(), r.PathValue("tid"), r.PathValue("ipID"), q.Get("after_user_id"), limit, q.Get("with_credentials") == "true")
		if err != nil {
			answerOperator(w, nil, err)
			return
		}
		_, _ = w.Write(page) // the caller is gone, or has its answer
	})
}

func importPeople(people *promote.Users, r *http.Request) (promote.ImportAnswer, error) {
	lines, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, operatorBody))
	if err != nil {
		return promote.ImportAnswer{}, fault.New(fault.TooLarge, "The body is too long.", err)
	}
	q := r.URL.Query()
	first, err := strconv.Atoi(q.Get("row"))
	if err != nil || first < 1 {
		first = 1
	}
	return people.Import(r.Context(), lines, promote.ImportRequest{
		Tenant: r.PathValue("tid"), Pool: r.PathValue("ipID"), Run: q.Get("run"), First: first, DryRun: q.Get("dry_run") == "true",
	})
}

// ImportResult is what became of one row of an import.
type ImportResult = promote.Result

// ParseImport reads the answer to an import of users.
func ParseImport(raw []byte) ([]ImportResult, error) {
	var a promote.ImportAnswer
	err := json.Unmarshal(raw, &a)
	return a.Results, err
}
