package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatepost/gatepost/gateway/internal/config"
)

// FuzzLoad: no file ends the program, and what is wrong is a Report.
func FuzzLoad(f *testing.F) {
	cases, err := filepath.Glob("testdata/broken/*.case")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range append(cases, example) {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		file, _, _ := strings.Cut(string(text), "----------")
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "file:") {
			return // would read files of this machine
		}
		_, err := config.Load(write(t, "gatepost.yaml", text), nil)
		var report config.Report
		if err != nil && (!errors.As(err, &report) || len(report) == 0) {
			t.Errorf("got %v", err)
		}
	})
}
