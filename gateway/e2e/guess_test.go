package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// memory is what a process has resident, in MiB.
func (d *demo) memory(t *testing.T) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib / 1024
}

// TestParallelGuesses: however many guess at once, few guesses are looked at, and
// memory stays within its bound.
func TestParallelGuesses(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	system := d.clientToken(t, "system")
	const guesses, most = 200, 300 // MiB
	base := d.BaseURL + "/api/identity/" + d.Tenant + "/system/pools/" + d.PoolID + "/user"
	client := &http.Client{Transport: d.transport()}
	attack := func(path string, body func(i int) map[string]string) map[int]int {
		var mu sync.Mutex
		seen := map[int]int{}
		var wg sync.WaitGroup
		for i := range guesses {
			wg.Go(func() {
				raw, _ := json.Marshal(body(i))
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+path, bytes.NewReader(raw))
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Authorization", "Bearer "+system)
				resp, err := client.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
				mu.Lock()
				defer mu.Unlock()
				seen[resp.StatusCode]++
			})
		}
		wg.Wait()
		return seen
	}
	d.api(t, system, http.MethodPost, "/api/identity/"+d.Tenant+"/system/pools/"+d.PoolID+"/user/otp/request",
		map[string]string{"identifier": d.Users[0].Identifier}, http.StatusNoContent, nil)
	for _, try := range []struct {
		name, path string
		body       func(i int) map[string]string
		evaluated  int // the status of a guess that was looked at
		limit      int
	}{
		{"one person's password", "/password/v2/verify", func(i int) map[string]string {
			return map[string]string{"identifier": d.Users[0].Identifier, "password": fmt.Sprint("guess number ", i)}
		}, http.StatusOK, 5},
		{"one person's code", "/otp/verify", func(i int) map[string]string {
			return map[string]string{"identifier": d.Users[0].Identifier, "code": fmt.Sprintf("%06d", i)}
		}, http.StatusUnauthorized, 10},
	} {
		seen := attack(try.path, try.body)
		if seen[try.evaluated] == 0 || seen[try.evaluated] > try.limit || seen[try.evaluated]+seen[http.StatusTooManyRequests] != guesses {
			t.Errorf("%s: answers %v; at most %d of %d may be looked at", try.name, seen, try.limit, guesses)
		}
	}
	// Many people's passwords: each guess is looked at, behind the hashing gate.
	attack("/password/v2/verify", func(i int) map[string]string {
		return map[string]string{"identifier": fmt.Sprintf("nobody%d@example.com", i), "password": "guess"}
	})
	if now := d.memory(t); now > most {
		t.Errorf("%d MiB are resident after %d guesses at once, more than %d", now, guesses, most)
	} else {
		t.Logf("%d MiB resident", now)
	}
}
