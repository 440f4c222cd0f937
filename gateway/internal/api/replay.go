package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/vault"
	"github.com/gatepost/gatepost/gateway/internal/web"
)

// replayLife is how long an answer is given again (the published API says one
// minute).
const replayLife = time.Minute

// replay is the record of one idempotency key.
type replay struct {
	Body    string    `json:"body"`             // hash of the request body
	Status  int       `json:"status,omitempty"` // 0: the first request still runs
	ETag    string    `json:"etag,omitempty"`
	Answer  string    `json:"answer,omitempty"` // sealed: answers hold secrets
	Expires time.Time `json:"expires"`
}

type replays struct {
	table *store.Table[replay]
	ring  *vault.Ring
}

func openReplays(ctx context.Context, s *store.Store, ring *vault.Ring) (*replays, error) {
	t, err := store.Declare(ctx, s, store.Spec[replay]{
		Name:    "replays",
		Expires: func(r *replay) time.Time { return r.Expires },
	})
	return &replays{table: t, ring: ring}, err
}

// The published bounds of an idempotency key.
const minKey, maxKey = 32, 255

// replayable runs an operation under its idempotency key. The record is created
// before the effect, so of two racing requests one runs and the other is 409.
func (x *call) replayable() error {
	key := web.Header(x.c, "X-Idempotency-Key")
	if len(key) < minKey || len(key) > maxKey {
		return fault.At(fault.Invalid, "X-Idempotency-Key", fmt.Sprintf("must have %d to %d characters", minKey, maxKey))
	}
	raw, err := web.Body(x.c, x.MaxBody)
	if err != nil {
		return err
	}
	id := digest(x.caller.Space.ID, x.caller.Client, x.caller.Subject, x.op.method, x.visit.Path, x.visit.RawQuery, key)
	mine := replay{Body: digest(string(raw)), Expires: x.Now().Add(replayLife)}
	for {
		row, err := x.replays.table.Create(x.ctx, x.owner, id, mine)
		if err == nil {
			return x.first(row)
		}
		if !errors.Is(err, store.ErrExists) {
			return err
		}
		row, err = x.replays.table.Get(x.ctx, x.owner, id)
		if err == nil {
			return x.again(row, mine.Body)
		}
		if !errors.Is(err, store.ErrNotFound) { // else it has just lapsed
			return err
		}
	}
}

// first runs the operation and keeps its answer. A failure of ours is not kept:
// the caller may try again.
func (x *call) first(row store.Row[replay]) error {
	result, err := x.op.run(x)
	if err == nil {
		err = x.answer(result)
	} else if web.Status(err) < http.StatusInternalServerError {
		err = x.Errors.REST(x.c, err)
	}
	ctx, cancel := x.detached()
	defer cancel()
	status := x.c.Response().StatusCode()
	if err != nil || status >= http.StatusInternalServerError {
		return errors.Join(err, x.replays.table.DeleteIf(ctx, row.Tenant, row.ID, row.Rev))
	}
	v := row.Value
	v.Status, v.ETag = status, string(x.c.Response().Header.Peek("ETag"))
	v.Answer, err = x.replays.ring.Seal(x.c.Response().Body(), vault.AAD(row.Tenant, "replays", row.ID, "answer"))
	if err == nil {
		_, err = x.replays.table.Swap(ctx, row.Tenant, row.ID, row.Rev, v)
	}
	if err != nil { // it is done: only a repetition will not be told so
		x.Log.Warn("an answer is not kept for its X-Idempotency-Key", "operation", x.op.id, "error", err)
	}
	return nil
}

// again gives the stored answer.
func (x *call) again(row store.Row[replay], body string) error {
	v := row.Value
	if v.Body != body {
		return fault.At(fault.Unprocessable, "X-Idempotency-Key", "was used with another body within the last minute")
	}
	if v.Status == 0 {
		return fault.New(fault.Conflict, "The first request with this X-Idempotency-Key is still running.", nil)
	}
	answer, err := x.replays.ring.Open(v.Answer, vault.AAD(row.Tenant, "replays", row.ID, "answer"))
	if err != nil {
		return err
	}
	x.c.Set("X-Idempotent-Replayed", "true")
	if v.ETag != "" {
		x.c.Set("ETag", v.ETag)
	}
	if len(answer) > 0 {
		x.c.Set("Content-Type", "application/json")
	}
	return x.c.Status(v.Status).Send(answer)
}

// digest hashes parts so that no two lists of parts collide.
func digest(parts ...string) string {
	raw, _ := json.Marshal(parts) // strings always marshal
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
