// Package browsertest has tests of the console's page in a real browser, headless Chromium. It is a
// module of its own, so that the library does not need the driver of the browser.
package browsertest
