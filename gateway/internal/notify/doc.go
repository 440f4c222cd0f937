// Package notify sends messages to people: codes and links, by e-mail and SMS.
//
//	portal, API                                                        job, and at once
//	  Send(ctx, Message) --> budgets --> outbox (sealed) --> lease --> templates --> Sender
//	                            |           ^                                          |
//	                            v           |        451, no connection                |-- SMTP
//	                    fault.TooMany       |<-- queued, 5 s, 30 s, 2 min, 5 min ... <-|-- directory of .eml files
//	                                        |<-- sent, kept 1 day without content <----|-- SMS by webhook
//	                                        '<-- dead, kept 7 days, likewise <-- 550 <-'
//
// When Send returns nil the message is durable. Every gateway delivers what is
// due; a lease, taken by compare-and-swap, keeps two of them from sending one
// message at the same time. A gateway that dies between the server's "250" and
// the note of it sends again after the lease: at least once, not exactly once,
// and with the same Message-ID. No message is tried after its code has ended.
//
// Budgets are counted in Send, before anything is written, and nowhere else:
// whatever page or operation asks, the same counters in the store decide, for
// all gateways. [Notifier.Pretend] counts and writes as Send does, for people
// who do not exist: answers and their times tell nothing.
//
// # Templates
//
// A kind of message has four files: KIND.email.subject, KIND.email.txt,
// KIND.email.html and KIND.sms.txt. The built-in ones are in templates/; a
// directory of the operator's replaces any of them, and layout.html or
// layout.txt, whose named parts they share. They see a [View]. An e-mail is
// always text and HTML, and one with a link carries the code too, since a link
// may be opened on another device.
package notify
