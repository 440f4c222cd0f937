package limit

import (
	"fmt"
)

// known returns the default rule of a kind. A kind that is not declared is a
// defect here, never a kind without a limit.
func known(kind string) (Rule, error) {
	rule, ok := Default(kind)
	if !ok {
		return rule, fmt.Errorf("limit: %q is no kind of tries", kind)
	}
	return rule, nil
}
