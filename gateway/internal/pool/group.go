package pool

import (
	"encoding/json"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gatepost/gatepost/gateway/internal/store"
	"github.com/gatepost/gatepost/gateway/internal/tenant/record"
)

// The bounds of groups.
const (
	maxGroups      = 10_000 // of a pool
	maxGroupDepth  = 10     // levels, the top one included
	maxInside      = 500    // groups inside one that a nested list reads
	maxMemberships = 500    // groups of a user
	maxGroupName   = 256    // characters
	maxGroupText   = 2048   // characters of a description
)

// Group is a set of users of a pool on the wire. Groups may stand inside others;
// a member of one is no member of those around it.
type Group struct {
	ID          string `json:"id"`
	Name        string `json:"name"` // unique among the groups with the same parent, whatever the case
	Description string `json:"description"`
	ParentID    string `json:"parent_id"` // empty: at the top
	TenantID    string `json:"tenant_id"`
	UserPoolID  string `json:"user_pool_id"`

	Epoch string `json:"-"` // of this life of the id
	Rev   int64  `json:"-"` // revision in the store
}

// NewGroup is a group as a caller sends it to Groups.Create.
type NewGroup struct {
	ID          string `json:"id"` // empty: a random one
	Name        string `json:"name"`
	Description string `json:"description"`
	ParentID    string `json:"parent_id"` // empty: at the top
}

// UpdateGroup is a change of a group: what is missing stays as it is.
type UpdateGroup struct {
	Name        *string `json:"name"`
	Description *string `json:"description"`
	ParentID    *string `json:"parent_id"` // empty: to the top
}

// groupRecord is a group as it is stored.
type groupRecord struct {
	Group     Group  `json:"group"`
	PoolEpoch string `json:"pool_epoch"`
	Epoch     string `json:"epoch"`
	// Closing is when a deletion began to look for groups inside: none may be made
	// there from then on; see Groups.Delete.
	Closing time.Time `json:"closing,omitzero"`
	Grave   grave     `json:"grave,omitzero"`
}

// groupSpace is where the groups of a pool and their names stand.
func groupSpace(poolEpoch string) string { return "groups." + poolEpoch }

// names are the record's places among the names of groups.
func (r *groupRecord) names() []name { return []name{siblingName(r.Group.ParentID, r.Group.Name)} }

func siblingName(parent, of string) name { return name{Source: "in " + parent, Key: groupKey(of)} }

// groupKey is how names of groups compare and sort.
func groupKey(name string) string { return key(strings.TrimSpace(norm.NFKC.String(name)), true) }

func (r *groupRecord) live() bool { return r.Grave.Until.IsZero() }

// bySiblings is the index of the groups inside one, by name.
func (r *groupRecord) bySiblings() (store.Key, bool) {
	return store.Key{Equal: store.ID(groupSpace(r.PoolEpoch), r.Group.ParentID), Order: groupKey(r.Group.Name)}, r.live()
}

// byPool is the index of all groups of a pool, by name.
func (r *groupRecord) byPool() (store.Key, bool) {
	return store.Key{Equal: groupSpace(r.PoolEpoch), Order: groupKey(r.Group.Name)}, r.live()
}

func (r *groupRecord) shown(rev int64) Group {
	g := r.Group
	g.Epoch, g.Rev = r.Epoch, rev
	return g
}

// check looks at what callers choose, but for the parent.
func (g *Group) check() error {
	g.Name = strings.TrimSpace(norm.NFKC.String(g.Name))
	if g.Name == "" {
		return fault.At(fault.Unprocessable, "name", "is required")
	}
	for _, err := range []error{
		record.ID("id", g.ID), record.Text("name", g.Name, maxGroupName), record.Text("description", g.Description, maxGroupText),
	} {
		if err != nil {
			return err
		}
	}
	if strings.ContainsAny(g.Name, "\r\n\t") {
		return fault.At(fault.Unprocessable, "name", "must be one line")
	}
	return nil
}

// GroupQuery selects groups.
type GroupQuery struct {
	Name string // the name begins or ends with it, whatever the case; empty: all
}

// ParseGroupQuery reads the query parameter of a list of groups: JSON such as
// {"name":"adm"}. The empty text selects all. Errors as of ParseQuery.
func ParseGroupQuery(text string) (GroupQuery, error) {
	var q GroupQuery
	if strings.TrimSpace(text) == "" {
		return q, nil
	}
	if len(text) > maxObject {
		return q, fault.At(fault.TooLarge, "query", "is too long")
	}
	var members map[string]any
	if err := json.Unmarshal([]byte(text), &members); err != nil || members == nil {
		return q, &fault.Error{Kind: fault.Invalid, Field: "query", Public: "must be a JSON object", Cause: err}
	}
	for name, v := range members {
		var ok bool
		if name == "name" {
			q.Name, ok = v.(string)
		}
		if !ok && v != nil {
			return q, fault.At(fault.Unprocessable, "query", "may have name (a text)")
		}
	}
	return q, nil
}

// matches returns what tells whether a group is selected; nil: all are.
func (q GroupQuery) matches() func(*Group) bool {
	want := groupKey(q.Name)
	if want == "" {
		return nil
	}
	return func(g *Group) bool {
		has := groupKey(g.Name)
		return strings.HasPrefix(has, want) || strings.HasSuffix(has, want)
	}
}

func groupFault(err error) error { return record.Fault(err, "group") }
