// Package field reads the syntax that header fields share (RFC 9110 §5.6): lists of tokens, dates,
// lengths, and what names and values may consist of. It knows nothing of caching.
package field
