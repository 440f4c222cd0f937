package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// readRows reads a whole file as it would be sent.
func readRows(t *testing.T, text string, isCSV bool) []string {
	t.Helper()
	next, err := userRows(strings.NewReader(text), isCSV)
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	for {
		row, err := next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprint(row.number, " ", string(row.line), row.wrong))
	}
}

func TestUserRows(t *testing.T) {
	t.Parallel()
	const none = `"identifiers":null,`
	for _, tc := range []struct {
		name, text string
		csv        bool
		want       []string
	}{
		{"lines", "\xef\xbb\xbf{\"id\":\"a\"}\r\n\r\n {\"id\":\"b\"}", false, []string{`1 {"id":"a"}`, `3 {"id":"b"}`}},
		{"empty", "", false, nil},
		{"byte order mark, CRLF, blanks", "\xef\xbb\xbfemail,external_id\r\n a@example.com ,1\r\n", true, []string{
			`2 {"external_id":"1","identifiers":[{"identifier":"a@example.com","type":"email"}],"verifiable_addresses":[{"address":"a@example.com","type":"email","verified":false}]}`,
		}},
		{"quotes and line ends inside", "username,name,payload.note\n\"a\",\"A, \"\"B\"\"\",\"x\ny\"\nb,,\n", true, []string{
			`2 {"identifiers":[{"identifier":"a","type":"uid"}],"payload":{"name":"A, \"B\"","note":"x\ny"},"verifiable_addresses":null}`,
			`3 {"identifiers":[{"identifier":"b","type":"uid"}],"verifiable_addresses":null}`,
		}},
		{"name of its parts, groups, password", "given_name,family_name,groups,hashed_password,password_state,status\nA,B,x; y/z ;,$1$,must_be_reset,new", true, []string{
			`2 {"credentials":[{"hashed_password":"$1$","state":"must_be_reset","type":"password"}],"groups":["x","y/z"],` + none + `"payload":{"family_name":"B","given_name":"A","name":"A B"},"status":"new","verifiable_addresses":null}`,
		}},
		{"verified", "phone,verified\n+48123456789,TRUE\n+48123456789,perhaps", true, []string{
			`2 {"identifiers":[{"identifier":"+48123456789","type":"mobile"}],"verifiable_addresses":[{"address":"+48123456789","type":"mobile","verified":true}]}`,
			`3 verified must be true or false`,
		}},
		{"too few columns, then right again", "email,name\nx\n,\n", true, []string{`2 wrong number of fields`, `3 {` + none + `"verifiable_addresses":null}`}},
		{"bare quote", "email\na\"b\nusername", true, []string{`2 bare " in non-quoted-field`, `3 {"identifiers":[{"identifier":"username","type":"email"}],"verifiable_addresses":[{"address":"username","type":"email","verified":false}]}`}},
		{"state without a password", "password_state\nvalid", true, []string{`2 password_state needs a hashed_password`}},
		{"no header", "", true, []string{"the file is empty: its first row must name the columns"}},
		{"column twice", "email,email", true, []string{`column "email" is there twice`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(tc.want, readRows(t, tc.text, tc.csv)); d != "" {
				t.Error(d)
			}
		})
	}
	if got := readRows(t, "e-mail", true); !strings.HasPrefix(got[0], `column "e-mail" is not known`) {
		t.Error(got)
	}
}

// fake is a gateway that remembers what it was sent, and fails as it is told.
type fake struct {
	rows map[string]int // ids, and how often they were sent
	fail func(request int) int
	n    int
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.n++
	if status := f.fail(f.n); status != 0 {
		w.WriteHeader(status)
		return
	}
	first, _ := strconv.Atoi(r.URL.Query().Get("row"))
	body, _ := io.ReadAll(r.Body)
	var results []map[string]any
	for i, line := range strings.Split(strings.TrimSuffix(string(body), "\n"), "\n") {
		var u struct{ ID string }
		if line == "" || json.Unmarshal([]byte(line), &u) != nil {
			continue
		}
		f.rows[u.ID]++
		result := map[string]any{"row": first + i, "outcome": "created", "id": u.ID}
		switch {
		case u.ID == "bad":
			result = map[string]any{"row": first + i, "outcome": "failed", "field": "status", "error": "is odd"}
		case u.ID == "later" && f.rows[u.ID] < 3:
			result = map[string]any{"row": first + i, "outcome": "failed", "error": "try again", "retry": true}
		}
		results = append(results, result)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"results": results})
}

// trial is an import into a fake gateway.
func trial(t *testing.T, srv *httptest.Server, path, report string) (out string, err error) {
	t.Helper()
	var b bytes.Buffer
	i := &importing{
		to: &people{http: srv.Client(), base: srv.URL, wait: func(context.Context, time.Duration) error { return nil }}, path: path, report: report, out: &b, progress: io.Discard,
	}
	err = i.run(t.Context())
	return b.String(), err
}

func TestImportResumes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, report := filepath.Join(dir, "u.ndjson"), filepath.Join(dir, "r.ndjson")
	var text strings.Builder
	for i := range 1200 {
		fmt.Fprintf(&text, "{\"id\":\"u%d\",\"external_id\":\"%d\"}\n", i, i)
	}
	text.WriteString("{\"id\":\"bad\"}\n\n{\"id\":\"later\"}\n{\"id\":\"twice\",\"external_id\":\"3\"}\n")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &fake{rows: map[string]int{}, fail: func(n int) int { return map[int]int{2: 503, 4: 403}[n] }} // the second batch succeeds at the second try
	srv := httptest.NewServer(f)
	defer srv.Close()
	if _, err := trial(t, srv, path, report); err == nil {
		t.Fatal("no error")
	}
	if _, err := os.Stat(report + ".checkpoint"); err != nil {
		t.Fatal(err)
	}
	sent := len(f.rows)
	f.fail = func(int) int { return 0 }
	out, err := trial(t, srv, path, report)
	if err == nil || err.Error() != "2 rows failed" || !strings.HasPrefix(out, "created 1201  unchanged 0  failed 2") {
		t.Error(out, err)
	}
	if f.rows["u0"] != 1 || f.rows["later"] != 3 || f.rows["twice"] != 0 || sent < 500 {
		t.Error(f.rows["u0"], f.rows["later"], f.rows["twice"], sent)
	}
	raw, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(raw, []byte("\n")); n != 1203 {
		t.Errorf("the report has %d lines", n)
	}
	if !bytes.Contains(raw, []byte(`{"row":1201,"outcome":"failed","field":"status","error":"is odd"}`)) || !bytes.Contains(raw, []byte(`external_id is that of row 4 as well`)) {
		t.Error(string(raw[len(raw)-600:]))
	}
	if _, err := os.Stat(report + ".checkpoint"); !errors.Is(err, os.ErrNotExist) {
		t.Error("the checkpoint is left:", err)
	}
}
