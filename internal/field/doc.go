// Package field reads the syntax that header fields share (RFC 9110 §5.6): lists of tokens, dates,
// lengths, cache groups, and valid names and values. It knows nothing of caching.
package field
