package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
)

// This file has what HTTP requires of a gateway besides forwarding.

// pseudonym is the gateway's name in Via.
const pseudonym = "Cirque"

// addVia adds the gateway to the Via of a request to the origin (RFC 9110 §7.6.3).
func addVia(r *httputil.ProxyRequest) {
	version := strconv.Itoa(r.In.ProtoMajor)
	if r.In.ProtoMajor < 2 {
		version += "." + strconv.Itoa(r.In.ProtoMinor)
	}
	via := append(slices.Clone(r.In.Header["Via"]), version+" "+pseudonym)
	r.Out.Header["Via"] = []string{strings.Join(via, ", ")}
}

// forwardOnce counts down the Max-Forwards of an OPTIONS or TRACE request, on a copy. last reports
// that the request must not be forwarded (RFC 9110 §7.6.2). A value that is not a number is
// ignored.
func forwardOnce(r *http.Request) (forwarded *http.Request, last bool) {
	value := r.Header.Get("Max-Forwards")
	left, err := strconv.ParseUint(value, 10, 63)
	switch {
	case err != nil:
		return r, false
	case left == 0:
		return r, true
	}
	counted := *r
	counted.Header = r.Header.Clone()
	counted.Header["Max-Forwards"] = []string{strconv.FormatUint(left-1, 10)}
	return &counted, false
}

// private lists the request fields that an answer to TRACE leaves out (RFC 9110 §9.3.8).
var private = []string{"Authorization", "Cookie", "Proxy-Authorization"}

// answerAsLast answers an OPTIONS or TRACE request that must not be forwarded.
func answerAsLast(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions {
		w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE")
		w.Header().Set("Content-Length", "0")
		return
	}
	header := r.Header.Clone()
	for _, name := range private {
		delete(header, name)
	}
	w.Header().Set("Content-Type", "message/http")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprintf(w, "%s %s %s\r\nHost: %s\r\n", r.Method, r.RequestURI, r.Proto, r.Host)
	_ = header.Write(w)
	_, _ = io.WriteString(w, "\r\n")
}
