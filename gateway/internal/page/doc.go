// Package page holds everything that people see: layout, texts, styles and small
// scripts of all HTML pages.
//
//	portal, proxy ...                              browser
//	  Render(w, theme, SignIn{...}) --> template --> HTML --link--> /.gatepost/assets/<hash>/gatepost.css
//	                                     ^   ^
//	web.Problem --Problem--> Error,      |   texts.go (every sentence, once)
//	             UnknownHost, Denied     theme: name, logo, accent --> .../theme/<accent>.css
//
// A page is a typed value; there is no other way to render one. Pages have no
// inline script or style, so they work under a Content-Security-Policy without
// unsafe-inline, and all of them work without JavaScript, but for passkeys, which
// browsers give to scripts alone: webauthn.js, loaded where there is one to use or
// make (see PasskeyCalls). The one exception to
// the style rule is the page for too many cookies: nothing else can be loaded
// then, so it names its own style by hash.
//
// Asset addresses hold a hash of the content and never change their meaning.
// They lie under web.AssetPrefix, which is ours on every host.
package page
