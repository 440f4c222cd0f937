// Sends the only form of the page (OAuth 2.0 Form Post Response Mode). Without
// JavaScript the person presses its button.
document.querySelector("form").submit();
