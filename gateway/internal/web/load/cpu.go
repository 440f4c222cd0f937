package load

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// cpu returns the processor time that a process and its children have used, 0
// where the system does not tell. It says more than throughput when other
// programs share the machine.
func cpu(pid int) time.Duration {
	const tick = time.Second / 100 // USER_HZ of Linux
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	var sum int64
	for _, f := range files {
		text, err := os.ReadFile(f) //nolint:gosec // a name that the glob found
		if err != nil {
			continue // it has ended
		}
		// The name in parentheses may hold spaces.
		_, rest, ok := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if !ok || len(fields) < 13 {
			continue
		}
		self := filepath.Base(filepath.Dir(f)) == strconv.Itoa(pid)
		if !self && fields[1] != strconv.Itoa(pid) {
			continue
		}
		for _, field := range fields[11:13] {
			n, err := strconv.ParseInt(field, 10, 64)
			if err == nil {
				sum += n
			}
		}
	}
	return time.Duration(sum) * tick
}
