package page

import "strings"

// Device describes a User-Agent for people, such as "Firefox on Linux". What it
// does not know it calls unknown: the header is the client's own claim.
func Device(userAgent string) string {
	browser := first(userAgent, [][2]string{
		{"Edg", "Edge"},
		{"OPR/", "Opera"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"},
		{"Chrome/", "Chrome"},
		{"Chromium/", "Chromium"},
		{"Safari/", "Safari"},
		{"curl/", "curl"},
	})
	system := first(userAgent, [][2]string{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"}, {"Macintosh", "Mac"}, {"Linux", "Linux"},
	})
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser+system != "":
		return browser + system
	}
	return "Unknown browser"
}

func first(s string, marks [][2]string) string {
	for _, m := range marks {
		if strings.Contains(s, m[0]) {
			return m[1]
		}
	}
	return ""
}

// Methods describes how somebody signed in (RFC 8176), such as "password and
// one-time code"; "" when nothing is known.
func Methods(amr []string) string {
	var words []string
	for _, m := range amr {
		switch m {
		case "pwd":
			words = append(words, "password")
		case "otp":
			words = append(words, "one-time code")
		case "pop":
			words = append(words, "passkey")
		}
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
