package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// image is what the last stage of the Dockerfile says.
type image struct {
	from       string
	uid        uint32
	env        []string
	expose     []string
	entrypoint []string
	health     []string
	copies     [][]string // words of the COPY instructions
	build      string     // the command of the stage before that makes the program
}

func readDockerfile(t *testing.T) image {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(repository, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	var im image
	for line := range strings.Lines(strings.ReplaceAll(string(raw), "\\\n", " ")) {
		instruction, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch instruction {
		case "FROM":
			im = image{from: rest, build: im.build}
		case "RUN":
			if strings.Contains(rest, "go build") {
				im.build = rest
			}
		case "USER":
			name, _, _ := strings.Cut(rest, ":")
			uid, err := strconv.ParseUint(name, 10, 32)
			if err != nil {
				t.Fatalf("USER %s is not a number: orchestrators cannot tell that it is not root", rest)
			}
			im.uid = uint32(uid)
		case "ENV":
			im.env = append(im.env, rest)
		case "EXPOSE":
			im.expose = strings.Fields(rest)
		case "COPY":
			im.copies = append(im.copies, strings.Fields(rest))
		case "ENTRYPOINT":
			im.entrypoint = execForm(t, rest)
		case "HEALTHCHECK":
			_, command, _ := strings.Cut(rest, "CMD ")
			im.health = execForm(t, command)
		}
	}
	return im
}

// execForm reads the only form that works without a shell.
func execForm(t *testing.T, text string) (words []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &words); err != nil || len(words) == 0 {
		t.Fatalf("not in exec form: %s", text)
	}
	return words
}

// TestDockerfile runs what the image would run: its entrypoint and its health
// check, as its user, with its environment. As root it does so in a root
// directory that holds no more than the image does, so the commands stay as they
// are; otherwise the paths are replaced.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	im := readDockerfile(t)
	if im.from != "scratch" || im.uid == 0 {
		t.Fatalf("the last stage is FROM %s, as user %d", im.from, im.uid)
	}
	for _, flag := range []string{"CGO_ENABLED=0", "-trimpath", "-ldflags=-s", "./gateway/cmd/gatepost"} {
		if !strings.Contains(im.build, flag) {
			t.Errorf("the program of the image is not built like that of the tests: %s is not in %s", flag, im.build)
		}
	}
	if !slices.Contains(im.env, "GATEPOST_LISTEN__PUBLIC__ADDRESS=:8080") || !slices.Contains(im.expose, "8080") {
		t.Errorf("the image listens at %v and exposes %v", im.env, im.expose)
	}
	root := openDir(t)
	run := im.process(t, root)
	configure(t, mkdir(t, filepath.Join(root, "etc", "gatepost")), freeListeners)
	g := &gate{demo: demo{dir: root, out: &output{}}}
	g.cmd = run(im.entrypoint, "GATEPOST_LISTEN__PUBLIC__ADDRESS=127.0.0.1:0") // 8080 may be taken here
	g.cmd.Stdout, g.cmd.Stderr = g.out, g.out
	g.start(t)
	if out, err := outcome(t, run(im.health, "GATEPOST_LISTEN__OPS__ADDRESS="+g.ops)); err != nil || out != "ready\n" {
		t.Errorf("the health check: %q, %v", out, err)
	}
	if resp, body := get(t, g.browser(t), g.setupLink(t)); resp.StatusCode != 200 {
		t.Errorf("the set-up page: %d\n%s", resp.StatusCode, body)
	}
	info, err := os.Stat(filepath.Join(root, "var", "lib", "gatepost", "gatepost.db"))
	if err != nil {
		t.Fatalf("no store in the volume: %v", err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; os.Getuid() == 0 && owner != im.uid {
		t.Errorf("the gateway ran as %d, the image says %d", owner, im.uid)
	}
	// As the comment at the top of the Dockerfile says.
	setup := []string{"/gatepost", "setup", "--config", "/etc/gatepost/gatepost.yaml", "--client-file", "/var/lib/gatepost/client.json"}
	if out, err := outcome(t, run(setup)); err != nil || !strings.Contains(out, "is set up") {
		t.Errorf("docker exec: %q, %v", out, err)
	}
	g.stop(t)
	out, err := outcome(t, run(im.health, "GATEPOST_LISTEN__OPS__ADDRESS="+g.ops))
	oneLine(t, out, err, "no gateway answers")
}

func mkdir(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// process makes the image's files below root, and returns what makes a command
// of it.
func (im *image) process(t *testing.T, root string) func(words []string, env ...string) *exec.Cmd {
	t.Helper()
	for _, words := range im.copies {
		from, to := words[len(words)-2], filepath.Join(root, words[len(words)-1])
		switch from {
		case "/out/gatepost":
			raw, err := os.ReadFile(binary)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(to, raw, 0o755); err != nil {
				t.Fatal(err)
			}
		case "/out/data", "/out/tmp":
			mkdir(t, to)
			if err := os.Chmod(to, 0o777|os.ModeSticky); err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("--chown=%d:%d", im.uid, im.uid); from == "/out/data" && words[1] != want {
				t.Errorf("the volume would not be the gateway's: %v lacks %s", words, want)
			}
		}
	}
	inside := os.Getuid() == 0
	return func(words []string, env ...string) *exec.Cmd {
		env = append(append([]string{}, im.env...), env...)
		words = append([]string{}, words...)
		if !inside {
			for i, word := range words {
				if strings.HasPrefix(word, "/") {
					words[i] = root + word
				}
			}
			for i := range env {
				env[i] = strings.Replace(env[i], "=/", "="+root+"/", 1)
			}
		}
		cmd := &exec.Cmd{Path: words[0], Args: words, Env: env, Dir: "/"}
		if inside {
			as(cmd, im.uid)
			cmd.SysProcAttr.Chroot = root
		}
		return cmd
	}
}
