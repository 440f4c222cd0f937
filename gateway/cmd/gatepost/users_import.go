package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gatepost/gatepost/gateway"
)

const (
	batchRows  = 500
	batchBytes = 600 << 10 // under what the gateway takes unless it is told otherwise
	// patience is how many seconds a row that cannot be written now is tried again: a
	// gateway that was killed leaves names claimed for a minute.
	patience = 75
)

// importing is one run of the import command.
type importing struct {
	to            *people
	path          string
	csv, dry      bool
	report        string
	out, progress io.Writer

	file   *os.File
	size   int64
	lines  io.Writer // the report, or nil
	mark   checkpoint
	seen   map[string]int // external ids and, of a dry run, names: the row that has it
	start  time.Time
	before int // rows of earlier runs
	shown  time.Time
}

// checkpoint is how far an import has come, in a file beside the report.
type checkpoint struct {
	Run    string         `json:"run"`
	File   string         `json:"file"` // hash of the file and where it goes to
	Next   int            `json:"next"` // rows below this are done
	Report int64          `json:"report"`
	Counts map[string]int `json:"counts"`
}

// outcomes in the order of the summary.
var outcomes = []string{"created", "unchanged", "failed"}

func (i *importing) run(ctx context.Context) (err error) {
	if i.file, err = os.Open(i.path); err != nil {
		return err
	}
	defer func() { _ = i.file.Close() }()
	if err := i.resume(); err != nil {
		return err
	}
	closeReport, err := i.openReport()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeReport()) }()
	next, err := userRows(i.file, i.csv)
	if err != nil {
		return fmt.Errorf("%s: %w", i.path, err)
	}
	i.seen, i.start = map[string]int{}, time.Now()
	if err := i.all(ctx, next); err != nil {
		return err
	}
	if !i.dry {
		if err := os.Remove(i.checkpoint()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return i.summary()
}

// checkpoint is the path of the checkpoint.
func (i *importing) checkpoint() string {
	if i.report != "" {
		return i.report + ".checkpoint"
	}
	return i.path + ".checkpoint"
}

// resume finds out whether an earlier run was stopped.
func (i *importing) resume() error {
	h := sha256.New()
	_, _ = fmt.Fprintln(h, i.to.base, i.csv) // a hash takes everything
	n, err := io.Copy(h, i.file)
	if err != nil {
		return err
	}
	if _, err := i.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	i.size = n
	whole := hex.EncodeToString(h.Sum(nil))
	i.mark = checkpoint{Run: rand.Text(), File: whole, Next: 1, Counts: map[string]int{}}
	if i.dry {
		return nil
	}
	raw, err := os.ReadFile(i.checkpoint())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var old checkpoint
	if err := json.Unmarshal(raw, &old); err != nil || old.File != whole || old.Counts == nil {
		return fmt.Errorf("%s is of another import: finish that one, or remove the file", i.checkpoint())
	}
	i.mark = old
	for _, n := range old.Counts {
		i.before += n
	}
	_, err = fmt.Fprintf(i.progress, "going on at row %d\n", old.Next)
	return err
}

// save writes the checkpoint.
func (i *importing) save() error {
	if i.dry {
		return nil
	}
	raw, err := json.Marshal(i.mark)
	if err != nil {
		return err
	}
	part := i.checkpoint() + ".part"
	if err := os.WriteFile(part, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(part, i.checkpoint())
}

// openReport opens the report, cut where the checkpoint was written.
func (i *importing) openReport() (func() error, error) {
	if i.report == "" {
		return func() error { return nil }, nil
	}
	f, err := os.OpenFile(i.report, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = f.Truncate(i.mark.Report)
	if err == nil {
		_, err = f.Seek(i.mark.Report, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	i.lines = f
	return f.Close, nil
}

// all sends the rows, a batch at a time.
func (i *importing) all(ctx context.Context, next func() (userRow, error)) error {
	var batch []userRow
	size := 0
	for {
		row, err := next()
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return err
		}
		if len(batch) > 0 && (ended || len(batch) == batchRows || size+len(row.line) > batchBytes) {
			if err := i.batch(ctx, batch); err != nil {
				return err
			}
			batch, size = batch[:0], 0
		}
		if ended {
			return nil
		}
		i.external(&row)
		if row.number >= i.mark.Next {
			batch, size = append(batch, row), size+len(row.line)
		}
	}
}

// external refuses a row with the external id of an earlier one: it would read as
// that one, sent again.
func (i *importing) external(row *userRow) {
	var in struct {
		ID string `json:"external_id"`
	}
	if json.Unmarshal(row.line, &in) != nil || in.ID == "" {
		return
	}
	if earlier, ok := i.seen["external "+in.ID]; ok {
		row.line, row.wrong = nil, fmt.Sprintf("external_id is that of row %d as well", earlier)
		return
	}
	i.seen["external "+in.ID] = row.number
}

// batch sends rows until all have an outcome, and writes these down.
func (i *importing) batch(ctx context.Context, rows []userRow) error {
	done := make(map[int]gateway.ImportResult, len(rows))
	for _, r := range rows {
		if r.wrong != "" {
			done[r.number] = gateway.ImportResult{Row: r.number, Outcome: "failed", Error: r.wrong}
		}
	}
	for n := 0; len(done) < len(rows); n++ {
		results, err := i.to.send(ctx, i.mark.Run, rows[0].number, i.dry, rowLines(rows, done))
		if err != nil {
			return fmt.Errorf("rows %d to %d: %w", rows[0].number, rows[len(rows)-1].number, err)
		}
		moved := false // else: wait
		for _, r := range results {
			if r.Retry && n < patience {
				continue
			}
			done[r.Row], moved = r, true
		}
		if moved {
			continue
		}
		if err := i.to.wait(ctx, time.Second); err != nil {
			return err
		}
	}
	for _, r := range rows {
		if err := i.write(done[r.number]); err != nil {
			return err
		}
	}
	i.mark.Next = rows[len(rows)-1].number + 1
	return errors.Join(i.save(), i.tell(false))
}

// rowLines writes the rows that have no outcome; the others are empty lines, so
// that the numbers stay right.
func rowLines(rows []userRow, done map[int]gateway.ImportResult) []byte {
	var b bytes.Buffer
	at := rows[0].number
	for _, r := range rows {
		for ; at < r.number; at++ {
			b.WriteByte('\n')
		}
		if _, ok := done[r.number]; !ok {
			b.Write(r.line)
		}
		b.WriteByte('\n')
		at++
	}
	return b.Bytes()
}

// write writes an outcome down.
func (i *importing) write(r gateway.ImportResult) error {
	for _, name := range r.Names {
		if earlier, ok := i.seen[name]; ok && r.Outcome == "created" {
			r.Outcome, r.ID, r.Error = "failed", "", fmt.Sprintf("has a name that row %d has as well", earlier)
		} else if !ok {
			i.seen[name] = r.Row
		}
	}
	r.Names = nil
	i.mark.Counts[r.Outcome]++
	if i.lines != nil {
		raw, err := json.Marshal(r)
		if err != nil {
			return err
		}
		n, err := i.lines.Write(append(raw, '\n'))
		i.mark.Report += int64(n)
		return err
	}
	if r.Outcome != "failed" {
		return nil
	}
	_, err := fmt.Fprintf(i.out, "row %d: %s\n", r.Row, said(r))
	return err
}

func said(r gateway.ImportResult) string {
	if r.Field == "" {
		return r.Error
	}
	return r.Field + ": " + r.Error
}

// tell writes how far it is, at most once a second.
func (i *importing) tell(last bool) error {
	now := time.Now()
	if !last && now.Sub(i.shown) < time.Second {
		return nil
	}
	i.shown = now
	rows := 0
	for _, n := range i.mark.Counts {
		rows += n
	}
	rate := float64(rows-i.before) / max(now.Sub(i.start).Seconds(), 0.001)
	line := fmt.Sprintf("%d rows, %.0f a second", rows, rate)
	if at, err := i.file.Seek(0, io.SeekCurrent); err == nil && at > 0 && !last {
		left := now.Sub(i.start).Seconds() * float64(i.size-at) / float64(at)
		line += fmt.Sprintf(", %d %% of the file, about %v left", 100*at/max(i.size, 1), time.Duration(left*float64(time.Second)).Round(time.Second))
	}
	_, err := fmt.Fprintln(i.progress, line)
	return err
}

// summary is the last line; its error makes the exit status.
func (i *importing) summary() error {
	if err := i.tell(true); err != nil {
		return err
	}
	line := ""
	for _, o := range outcomes {
		line += fmt.Sprintf("%s %d  ", o, i.mark.Counts[o])
	}
	if i.dry {
		line += "(dry run: nothing was written)"
	}
	if _, err := fmt.Fprintln(i.out, line); err != nil {
		return err
	}
	if n := i.mark.Counts["failed"]; n > 0 {
		return fmt.Errorf("%d rows failed", n)
	}
	return nil
}
