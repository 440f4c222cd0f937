// Package login is one running sign-in: its stored state and the pure function
// that says which step comes next. Every step returns to the dispatcher; no
// step leads to another.
//
//	authorize --> Begin --> sealed cookie of this browser
//	                |
//	                v
//	  +--------> Next ----> Choose        which IDP
//	  |            |------> Authenticate  prove who you are
//	  |            |------> SecondFactor  prove it in another way
//	  |            |------> EnrolTOTP     set one up first
//	  |            |------> NewPassword   the password must be changed
//	  |            '------> Finish        session, code, back to the client
//	  |                                   (signin asks for consent before the code)
//	  +---- each step ---+
//
// Until a factor is proven the login is nothing but a cookie, so strangers can
// not fill the store. After that it is a record; the cookie then holds the
// secret whose hash the record keeps. Either way only the browser that began a
// login can go on with it.
package login
