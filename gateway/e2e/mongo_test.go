package e2e_test

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mongoURI returns a server that speaks MongoDB's protocol: the one of
// GATEPOST_TEST_MONGO_URI, or else FerretDB, built and started for this test.
func mongoURI(t *testing.T) string {
	t.Helper()
	if uri := os.Getenv("GATEPOST_TEST_MONGO_URI"); uri != "" {
		return uri
	}
	program := filepath.Join(t.TempDir(), "ferret")
	build := exec.Command("go", "build", "-o", program, "./cmd/ferret")
	build.Dir = filepath.Join("..", "internal", "store", "mongo", "wiretest")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(program, "-dir", t.TempDir())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close() // it ends with its standard input
		if err := cmd.Wait(); err != nil {
			t.Logf("ferret: %v", err)
		}
	})
	uri, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("ferret printed no address: %v", err)
	}
	t.Log("this ran on FerretDB 1.24.0, whose conditional updates are not atomic: races are shown on the embedded store only")
	return strings.TrimSpace(uri)
}

// The main job on the MongoDB backend: the same test, another store.
func TestMainJobOnMongoDB(t *testing.T) {
	t.Parallel()
	uri := mongoURI(t)
	d := startDemo(t, "GATEPOST_STORE__DRIVER=mongo", "GATEPOST_STORE__URI="+uri, "GATEPOST_STORE__DATABASE=gatepost_e2e")
	if _, err := os.Stat(filepath.Join(d.dir, "gatepost.db")); err == nil {
		t.Fatal("the demo made an embedded store")
	}
	set := d.tokens(t, 0, "openid profile email offline_access")
	if set["refresh_token"] == nil {
		t.Errorf("no refresh token: %v", set)
	}
	var made struct {
		ID string `json:"id"`
	}
	admin := d.clientToken(t, "admin")
	users := "/api/identity/" + d.Tenant + "/admin/pools/" + d.PoolID + "/users"
	d.api(t, admin, http.MethodPost, users, map[string]any{
		"status": "active", "identifiers": []map[string]any{{"type": "uid", "identifier": "carol"}},
	}, http.StatusCreated, &made)
	d.api(t, admin, http.MethodGet, users+"/"+made.ID, nil, http.StatusOK, nil)
	mainJob(t, d, chrome(t, 1280, 900), "mongo")
}
