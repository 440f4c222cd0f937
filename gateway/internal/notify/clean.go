package notify

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// mask hides most of an address, so that an operator can recognise one that is
// known and a log gives nobody's away.
func mask(to string) string {
	if at := strings.LastIndexByte(to, '@'); at > 0 {
		_, size := utf8.DecodeRuneInString(to)
		return to[:size] + "***" + to[at:]
	}
	if strings.HasPrefix(to, "+") && len(to) > 7 {
		return to[:3] + strings.Repeat("*", len(to)-5) + to[len(to)-2:]
	}
	return "***"
}

// maxAnswer is the most bytes that are kept of what a server said.
const maxAnswer = 300

// redact makes a server's answer fit for logs: one line, without the address
// and without what the message holds, which servers like to repeat.
func redact(answer, to string, secrets ...string) string {
	answer = strings.ToValidUTF8(answer, "?")
	for _, s := range secrets {
		if s != "" {
			answer = strings.ReplaceAll(answer, s, "***")
		}
	}
	if to != "" {
		answer = regexp.MustCompile("(?i)"+regexp.QuoteMeta(to)).ReplaceAllLiteralString(answer, mask(to))
	}
	answer = strings.Join(strings.FieldsFunc(answer, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if len(answer) > maxAnswer {
		answer = strings.ToValidUTF8(answer[:maxAnswer], "") + "..."
	}
	return answer
}

// tempting finds what mail programs turn into a link, and so what a stranger
// would register as a name to have us send it on.
var tempting = regexp.MustCompile(`[\pL\pN]\.[\pL\pN]|[/\\:@<>\[\]]`)

// personal returns a name that is safe to repeat in a message to somebody who
// may not have chosen it, or "".
func personal(name string) string {
	name = strings.Join(strings.Fields(name), " ")
	if utf8.RuneCountInString(name) > 60 || tempting.MatchString(name) || strings.ContainsFunc(name, unprintable) {
		return ""
	}
	return name
}

// signName is personal for an identifier, which may also be the address that
// the message goes to.
func signName(identifier, to string) string {
	if strings.EqualFold(identifier, to) {
		return to
	}
	return personal(identifier)
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// life says how long something holds, in words.
func life(d time.Duration) string {
	unit := func(n int64, name string) string {
		if n == 1 {
			return "1 " + name
		}
		return fmt.Sprintf("%d %ss", n, name)
	}
	minutes := int64(d.Round(time.Minute) / time.Minute)
	switch {
	case minutes < 1:
		return unit(max(int64(d/time.Second), 1), "second")
	case minutes < 60:
		return unit(minutes, "minute")
	case minutes%60 != 0 && minutes < 24*60:
		return unit(minutes/60, "hour") + " " + unit(minutes%60, "minute")
	case minutes < 48*60:
		return unit(minutes/60, "hour")
	}
	return unit(minutes/(24*60), "day")
}

// Mask is the address as pages show it: enough to recognise, not to learn.
func Mask(to string) string { return mask(to) }
