package page

import "net/http"

// texts is every sentence of the pages by its key. %s stands for a value of the
// page. It is not changed.
var texts = map[string]string{
	"footer":    "Secured by Gatepost",
	"reference": "Reference:",
	"show":      "Show", "hide": "Hide", "show.password": "Show password", "hide.password": "Hide password",
	"errors.several": "Please correct these fields:",

	"signin.title":      "Sign in",
	"signin.to":         "to continue to %s",
	"signin.lead":       "with your account",
	"signin.identifier": "Email or user name",
	"signin.password":   "Password",
	"signin.submit":     "Sign in",
	"signin.forgot":     "Forgot your password?",
	"signin.register":   "Create an account",
	"signin.others":     "Sign in another way",

	"newpassword.title":  "Choose a new password",
	"newpassword.lead":   "Your password must be changed before you go on.",
	"newpassword.for":    "Account",
	"newpassword.rules":  "Your new password needs:",
	"newpassword.new":    "New password",
	"newpassword.repeat": "Repeat the new password",
	"newpassword.submit": "Save and continue",

	"chooser.title": "How do you want to sign in?",
	"chooser.to":    "Choose an account to continue to %s.",
	"chooser.lead":  "Choose where your account is.",

	"signedout.title": "You are signed out",
	"signedout.lead":  "You can close this window now.",
	"signedout.again": "Sign in again",

	"signout.title":    "Sign out",
	"signout.question": "Do you want to sign out?",
	"signout.app":      "%s asks to sign you out. You will be signed out of all apps in this browser.",
	"signout.lead":     "You will be signed out of all apps in this browser.",
	"signout.submit":   "Sign out",
	"signout.stay":     "Stay signed in",

	"account.title":           "Your account",
	"account.lead":            "Who you are here, and where you are signed in.",
	"account.identifiers":     "You can sign in with",
	"account.verified":        "Verified",
	"account.unverified":      "Not verified",
	"account.sessions":        "Where you are signed in",
	"account.current":         "This browser",
	"account.lastseen":        "last seen",
	"account.signout":         "Sign out",
	"account.end":             "End",
	"account.end.of":          "the session on %s",
	"account.nosessions":      "There are no sessions.",
	"account.everywhere":      "Sign out everywhere",
	"account.everywhere.lead": "Ends all sessions, this one too. Do this when you see one that is not yours, then change your password.",

	"setup.title":           "Set up Gatepost",
	"setup.lead":            "Create the first organisation and its operator. This page works once.",
	"setup.tenant":          "Name of the organisation",
	"setup.tenant.hint":     "Shown to people who sign in.",
	"setup.identifier":      "Operator’s email",
	"setup.identifier.hint": "You sign in with it to administer Gatepost.",
	"setup.password":        "Password",
	"setup.password.hint":   "At least 12 characters. There is no default password.",
	"setup.repeat":          "Repeat the password",
	"setup.submit":          "Create",

	"setupdone.title": "Gatepost is set up",
	"setupdone.lead":  "%s can sign in now. Programs administer Gatepost with the API clients below: one for the new organisation, and one, called root, for all of them.",
	"setupdone.once":  "This is shown only once. Keep it now, in a file that you alone can read.",
	"setupdone.file":  "client.json",
	"setupdone.token": "It makes access tokens for the API:",
	"setupdone.next":  "Go to your account",

	"error.title": "Something went wrong",
	"error.retry": "Try again",

	"denied.title":  "You have no access",
	"denied.lead":   "Your account may not open this page. Ask whoever runs it to let you in.",
	"denied.as":     "You are signed in as",
	"denied.switch": "Sign in as somebody else",
	"denied.home":   "Back",

	"unavailable.title": "Not available right now",
	"unavailable.app":   "%s is not available right now",
	"unavailable.lead":  "The app behind this address does not answer. It is not your fault; try again in a moment.",

	"unknownhost.title":    "Unknown host",
	"unknownhost.lead":     "This server runs, but it does not serve the address you asked for.",
	"unknownhost.seen":     "You asked for",
	"unknownhost.nohost":   "(no host)",
	"unknownhost.served":   "Served here",
	"unknownhost.none":     "nothing yet",
	"unknownhost.fix":      "If you run this server",
	"unknownhost.scheme":   "The host is right, but the request arrived by %s.",
	"unknownhost.proxy":    "The request came through a proxy at %s that is not in trusted_proxies, so what it says of host and scheme was not believed.",
	"unknownhost.noproxy":  "If a proxy in front of this server ends TLS, it must send X-Forwarded-Proto and be listed in trusted_proxies.",
	"unknownhost.host":     "Compare the address in your browser with these settings; host, port and scheme must be the same.",
	"unknownhost.base_url": "the address under which people reach this server’s own pages",
	"unknownhost.routes":   "the hosts of the protected apps",
	"unknownhost.trusted":  "the addresses of the proxies in front of this server",

	"formpost.title":  "Going back to the app",
	"formpost.lead":   "If nothing happens, press the button.",
	"formpost.submit": "Continue",

	"headers.title":    "Too many cookies",
	"headers.lead":     "Your browser sent more cookies for this address than the server takes. This happens when an app keeps adding cookies.",
	"headers.how":      "Delete the cookies of this site:",
	"headers.step1":    "Click the icon to the left of the address in your browser.",
	"headers.step2":    "Open the cookies or site data and delete those of this site.",
	"headers.step3":    "Load the page again and sign in.",
	"headers.programs": "Programs: the request line and headers together were over the limit (431 Request Header Fields Too Large).",
}

// titles are those of errors that people meet.
func titles() map[int]string {
	return map[int]string{
		http.StatusUnauthorized:    "Please sign in",
		http.StatusNotFound:        "Page not found",
		http.StatusTooManyRequests: "Too many attempts",
		http.StatusConflict:        "This was done already",
	}
}
