package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
)

// Scripts of wrk. Upper-case words are replaced.
const (
	credentialsScript = `wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
wrk.headers["Authorization"] = "AUTH"
wrk.body = "grant_type=client_credentials"
`
	introspectScript = `wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
wrk.headers["Authorization"] = "AUTH"
wrk.body = "token=TOKEN"
`
	// Each thread has refresh tokens of its own. One is taken for a request, and
	// its successor comes back with the answer.
	refreshScript = `wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
wrk.headers["Authorization"] = "AUTH"
local all = {TOKENS}
local threads = 0
function setup(thread)
  thread:set("first", threads)
  threads = threads + 1
end
local mine = {}
function init(args)
  for i = first * EACH + 1, (first + 1) * EACH do mine[#mine + 1] = all[i] end
end
function request()
  return wrk.format(nil, nil, nil, "grant_type=refresh_token&refresh_token=" .. table.remove(mine))
end
function response(status, headers, body)
  mine[#mine + 1] = string.match(body, '"refresh_token":"([^"]+)"')
end
`
)

// script writes a script of wrk and returns its path.
func (b *bench) script(name, text string, words map[string]string) (string, error) {
	for word, value := range words {
		text = strings.ReplaceAll(text, word, value)
	}
	path := filepath.Join(b.dir, name+".lua")
	return path, os.WriteFile(path, []byte(text), 0o600)
}

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}
