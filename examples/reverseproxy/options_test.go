package main

import (
	"bytes"
	"flag"
	"io"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/eviction"
)

func TestDefaults(t *testing.T) {
	o, err := parseOptions(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, &options{
		listen: "127.0.0.1:8080", memory: 256 << 20, maxObject: 32 << 20, lockTimeout: 5 * time.Second,
		eviction: eviction.Default, front: "handler", diskSize: 10 << 30,
	}, o)
}

func TestOptions(t *testing.T) {
	o, err := parseOptions(strings.Fields("-listen :0 -origin https://example.com/below -memory 64MiB -max-object 1GB "+
		"-lock-timeout 250ms -eviction simple-lru -front transport -public-origin https://* -disk /cache -disk-size 1TiB -stale-if-error 1h -stale-while-revalidate 10s -v -console :8081 -console-token 0123456789abcdef -log combined"), io.Discard)
	require.NoError(t, err)
	require.Equal(t, &options{
		listen: ":0", origin: &url.URL{Scheme: "https", Host: "example.com", Path: "/below"}, memory: 64 << 20, maxObject: 1e9,
		lockTimeout: 250 * time.Millisecond, eviction: "simple-lru", front: "transport", verbose: true,
		disk: "/cache", diskSize: 1 << 40, memoryToo: true, public: &url.URL{Scheme: "https", Host: "*"}, staleError: time.Hour, staleUpdate: 10 * time.Second,
		console: ":8081", consoleToken: "0123456789abcdef", accessLog: "combined",
	}, o)
}

func TestBadOptions(t *testing.T) {
	for args, message := range map[string]string{
		"-origin 127.0.0.1:80":            "want http://host:port",
		"-origin ftp://example.com":       "want http://host:port",
		"-origin http://:80":              "want http://host:port",
		"-origin http://a:b@c":            "no user, query or fragment",
		"-origin http://a/?q":             "no user, query or fragment",
		"-public-origin a.example":        "want http://host:port",
		"-public-origin https://a/b":      "without a path",
		"-public-origin https://*.a":      "the host can be *",
		"-memory 0":                       "more than zero",
		"-memory -1MiB":                   "more than zero",
		"-max-object 9999999TiB":          "too large",
		"-max-object 1.5":                 "whole number",
		"-lock-timeout 5":                 "lock-timeout",
		"-lock-timeout 0s":                "more than zero",
		"-stale-if-error -1s":             "stale-if-error: must not be negative",
		"-stale-while-revalidate -1s":     "stale-while-revalidate: must not be negative",
		"-eviction nonesuch":              "want one of",
		"-front door":                     "want one of handler, transport",
		"-v=perhaps":                      "invalid boolean",
		"extra":                           `unexpected argument "extra"`,
		"-disk-size 1GiB":                 "-disk-size needs -disk",
		"-memory":                         "needs an argument",
		"-memory 1KiB -memory nothing":    "-memory",
		"-log xml":                        "want one of json, combined",
		"-demo -origin http://a":          "-origin replaces that",
		"-console :8081":                  "is not a loopback address",
		"-console 0.0.0.0:8081":           "is not a loopback address",
		"-console-token 0123456789abcdef": "needs -console",
		"-console 127.0.0.1:1 -console-token too-short": "at least 16 characters",
	} {
		_, err := parseOptions(strings.Fields(args), io.Discard)
		require.ErrorContains(t, err, message, args)
	}
}

func TestDemoHasLittleMemoryUnlessItIsGiven(t *testing.T) {
	for args, want := range map[string]size{"-demo": demoMemory, "-demo -memory 1GiB": 1 << 30} {
		o, err := parseOptions(strings.Fields(args), io.Discard)
		require.NoError(t, err)
		require.Equal(t, want, o.memory)
	}
}

// docs/reference.md has a row for every flag.
func TestReferenceNamesEachFlag(t *testing.T) {
	var help strings.Builder
	_, err := parseOptions([]string{"-h"}, &help)
	require.ErrorIs(t, err, flag.ErrHelp)
	reference, err := os.ReadFile("../../docs/reference.md")
	require.NoError(t, err)
	flags := regexp.MustCompile(`(?m)^  (-[a-z-]+)`).FindAllStringSubmatch(help.String(), -1)
	require.NotEmpty(t, flags)
	for _, f := range flags {
		require.Regexp(t, "(?m)^\\| .*`"+f[1]+"[ `].* \\|", string(reference), f[1])
	}
}

func TestHelp(t *testing.T) {
	var usage bytes.Buffer
	_, err := parseOptions([]string{"-h"}, &usage)
	require.ErrorIs(t, err, flag.ErrHelp)
	for _, line := range []string{"-memory size", "(default 256MiB)", "-front door", "(default handler)", "-origin URL"} {
		require.Contains(t, usage.String(), line)
	}
}

func TestSizes(t *testing.T) {
	for text, bytes := range map[string]size{
		"1": 1, "17B": 17, "4096": 4 << 10, "1KiB": 1 << 10, "64MiB": 64 << 20, "3GiB": 3 << 30, "1TiB": 1 << 40,
		"1KB": 1e3, "1kB": 1e3, "5MB": 5e6, "1GB": 1e9, "2TB": 2e12,
	} {
		var s, again size
		require.NoError(t, s.Set(text))
		require.Equal(t, bytes, s, text)
		require.NoError(t, again.Set(s.String()))
		require.Equal(t, s, again, "%s reads as something else", &s)
	}
}
