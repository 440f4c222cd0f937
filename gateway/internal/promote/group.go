package promote

import (
	"strings"

	"github.com/gatepost/gatepost/gateway/internal/pool"
)

// parent returns the id of the group that a dumped one is in, or "".
func parent(g *pool.InternalGroup) string {
	way := strings.Split(g.Path, "/")
	if len(way) < 2 {
		return ""
	}
	return way[len(way)-2]
}
