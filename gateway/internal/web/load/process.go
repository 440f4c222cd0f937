package load

import (
	"bytes"
	"context"
	"net"
	"os/exec"
	"syscall"
	"time"
)

// Process is a running server.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	out  *bytes.Buffer
}

// Output is what the process has printed. It is meant for a process that has
// ended or says no more.
func (p *Process) Output() string { return p.out.String() }

// CPU is the processor time that the process and its children have used; 0 where
// the system does not tell.
func (p *Process) CPU() time.Duration { return cpu(p.cmd.Process.Pid) }

// Programs are the processes of one run. The zero value is ready. Not safe for
// concurrent use.
type Programs struct{ started []*Process }

// Launch starts a program that ends with the run. env is over the environment of
// this process.
func (s *Programs) Launch(ctx context.Context, env []string, name string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.CommandContext(ctx, name, args...), done: make(chan struct{}), out: &bytes.Buffer{}} //nolint:gosec // the caller's own list of programs
	p.cmd.Env = append(p.cmd.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // Output shows what it said when that is needed
	}()
	s.started = append(s.started, p)
	return p, nil
}

// Stop ends all programs and waits for them.
func (s *Programs) Stop() {
	for _, p := range s.started {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range s.started {
		select {
		case <-p.done:
		case <-time.After(5 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	}
}

// Last is what the program printed that was started last.
func (s *Programs) Last() string {
	if n := len(s.started); n > 0 {
		return s.started[n-1].Output()
	}
	return ""
}

// Address picks a free port where the wish has none.
func Address(wish string) (string, error) {
	ln, err := net.Listen("tcp", wish) //nolint:noctx // it returns at once
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// Await tries until a server answers well, for 20 s at most.
func Await(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}
