// Package frameworks shows, as tests, how the cache is mounted in the routers, servers and clients that people use.
package frameworks
