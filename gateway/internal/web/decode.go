package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/gatepost/gatepost/gateway/internal/fault"
	"github.com/gofiber/fiber/v2"
)

// maxDepth is how deep objects and arrays of a body may nest. encoding/json
// itself allows 10 000.
const maxDepth = 100

// Decode reads a JSON body of at most Config.MaxBody bytes into the pointed-to
// value, whatever the Content-Type says (published API §1.1). Unknown members are
// ignored. Errors are fault.TooLarge or fault.Invalid; one about a member names
// its path, such as identifiers[0].type, and says what it must be. What into
// holds after an error is not defined.
func Decode(c *fiber.Ctx, into any) error {
	body, err := Body(c, maxBody(c))
	if err != nil {
		return err
	}
	return DecodeJSON(body, into)
}

// DecodeJSON is [Decode] for a body that was read already.
func DecodeJSON(body []byte, into any) error {
	switch {
	case len(body) == 0:
		return fault.New(fault.Invalid, "The body is empty; it must be JSON.", nil)
	case !utf8.Valid(body):
		return fault.New(fault.Invalid, "The body is not UTF-8.", nil)
	case depth(body) > maxDepth:
		return fault.New(fault.Invalid, fmt.Sprintf("The body nests deeper than %d levels.", maxDepth), nil)
	}
	err := json.Unmarshal(body, into)
	if err == nil {
		return nil
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && !json.Valid(body) {
		line, column := position(body, syntax.Offset)
		return fault.New(fault.Invalid, fmt.Sprintf("The body is not JSON (line %d, column %d): %s.", line, column, syntax.Error()), err)
	}
	return locate(body, into, err)
}

// depth returns how deep the brackets of a document nest. It needs no valid
// document.
func depth(body []byte) int {
	deepest, now, inString := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch b := body[i]; {
		case inString && b == '\\':
			i++
		case b == '"':
			inString = !inString
		case inString:
		case b == '{' || b == '[':
			now++
			deepest = max(deepest, now)
		case b == '}' || b == ']':
			now--
		}
	}
	return deepest
}

// position turns an offset into a line and a column, both from 1.
func position(body []byte, offset int64) (line, column int) {
	line, column = 1, 1
	for _, b := range body[:min(max(int(offset)-1, 0), len(body))] {
		if b == '\n' {
			line, column = line+1, 1
			continue
		}
		column++
	}
	return line, column
}
