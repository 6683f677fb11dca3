package conformance

import (
	"slices"
	"strings"
)

// fresheningRules are about how a 304 updates the stored response (RFC 9111 §3.2 and §4.3.4).
var fresheningRules = []Requirement{
	{
		Section: "RFC 9111 §3.2, §4.3.4", Level: Must,
		Rule: "Update the stored response with every field of the 304.",
		Cases: []Case{
			updates("an unknown field", Lines{"Test-Header: old"}, Lines{"Test-Header: new"}, Lines{"Test-Header: new"}),
			updates("a field of several lines", Lines{"X-Multi: 1", "X-Multi: 2"}, Lines{"X-Multi: 3"}, Lines{"X-Multi: 3"}),
			updates("a field that gets more lines", Lines{"X-Multi: 1"}, Lines{"X-Multi: 2", "X-Multi: 3"}, Lines{"X-Multi: 2", "X-Multi: 3"}),
			updates("a field that was not there", nil, Lines{"X-New: 1"}, Lines{"X-New: 1"}),
			updates("a field in another case", Lines{"x-case: old"}, Lines{"X-CASE: new"}, Lines{"X-Case: new"}),
			updates("Cache-Control", Lines{"Cache-Control: max-age=1"}, Lines{"Cache-Control: max-age=7200"}, Lines{"Cache-Control: max-age=7200"}),
			updates("Expires", Lines{"Expires: {now-5}"}, Lines{"Expires: {now+5}"}, Lines{"Expires: {now+5}"}),
			updates("Date", Lines{"Date: {now-50}"}, Lines{"Date: {now-5}"}, Lines{"Date: {now-5}"}),
			updates("Last-Modified", Lines{"Last-Modified: {now-2000}"}, Lines{"Last-Modified: {now-1000}"}, Lines{"Last-Modified: {now-1000}"}),
			updates("Content-Location", Lines{"Content-Location: /a"}, Lines{"Content-Location: /b"}, Lines{"Content-Location: /b"}),
			updates("Content-Security-Policy", Lines{"Content-Security-Policy: default-src 'none'"}, Lines{"Content-Security-Policy: default-src 'self'"}, Lines{"Content-Security-Policy: default-src 'self'"}),
			updates("an unknown Content- field", Lines{"Content-Foo: old"}, Lines{"Content-Foo: new"}, Lines{"Content-Foo: new"}),
			updates("Content-Type", Lines{"Content-Type: text/x-old"}, Lines{"Content-Type: text/x-new"}, Lines{"Content-Type: text/x-new"}),
			updates("Content-Language", Lines{"Content-Language: de"}, Lines{"Content-Language: en"}, Lines{"Content-Language: en"}),
			updates("X-Frame-Options", Lines{"X-Frame-Options: deny"}, Lines{"X-Frame-Options: sameorigin"}, Lines{"X-Frame-Options: sameorigin"}),
			updates("CDN-Cache-Control", Lines{"CDN-Cache-Control: max-age=0"}, Lines{"CDN-Cache-Control: max-age=7200"}, Lines{"CDN-Cache-Control: max-age=7200"}),
			{Name: "a 304 does not change the fields that it lacks", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`, "X-Kept: 1", "Content-Type: text/x-kept"),
				get().answered(304, "Cache-Control: max-age=3600", `ETag: "a"`).reuses(0, "X-Kept: 1", "Content-Type: text/x-kept"),
				get().reuses(0, "X-Kept: 1", "Content-Type: text/x-kept", "Cache-Control: max-age=3600"),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.4, §5.2.2.7", Level: Must,
		Rule: "If an update forbids storing, remove the stored response, whichever client asked.",
		Cases: []Case{
			{Name: "a 304 with private to a request with Authorization removes the stored response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get("Authorization: Basic YTpi", "Cache-Control: no-cache").answered(304, "Cache-Control: private", `ETag: "a"`).reuses(0),
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
			}},
			{Name: "a 304 to a request with Authorization that forbids nothing keeps the stored response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				get("Authorization: Basic YTpi", "Cache-Control: no-cache").answered(304, `ETag: "a"`).reuses(0),
				get().reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9110 §5.1, §15.4.5", Level: Must,
		Rule: "Forward the fields of the origin's answer, including unknown ones, in a 304 to the client that asked.",
		Cases: []Case{
			{Name: "a 304 that also confirms the client's version keeps its fields", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`),
				get(`If-None-Match: "a"`).answered(304, "Cache-Control: max-age=3600", `ETag: "a"`, "X-New: 1", "Set-Cookie: a=1").
					sees(304, "X-New: 1", "Set-Cookie: a=1", "Cache-Control: max-age=3600"),
				get().reuses(0, "X-New: 1", "-Set-Cookie"),
			}},
			{Name: "a 304 made from a 200 keeps the fields that do not describe the content", Steps: []Step{
				get(`If-None-Match: "a"`).answered(200, "Cache-Control: max-age=3600", `ETag: "a"`, "X-New: 1", "Set-Cookie: a=1", "Content-Type: text/x-test").
					sees(304, "X-New: 1", "Set-Cookie: a=1", "Cache-Control: max-age=3600", "-Content-Type"),
				get().reuses(0, "X-New: 1", "-Set-Cookie", "Content-Type: text/x-test"),
			}},
		},
	},
	{
		Section: "RFC 9111 §3.2", Level: MustNot,
		Rule: "Do not update Content-Length.",
		Cases: []Case{
			{Name: "a 304 does not change Content-Length", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`).with("twelve bytes"),
				get().answered(304, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Length: 5").reuses(0, "Content-Length: 12"),
				get().reuses(0, "Content-Length: 12"),
			}},
			{Name: "a 304 with Content-Length: 0 does not empty the response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`).with("twelve bytes"),
				get().answered(304, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Length: 0").reuses(0, "Content-Length: 12"),
				get().reuses(0, "Content-Length: 12"),
			}},
		},
	},
	{
		Section: "RFC 9111 §3.1, §3.2", Level: Must,
		Rule: "Do not update with fields that are not stored.",
		Cases: []Case{
			{Name: "the hop-by-hop fields of a 304 are not stored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`),
				get().answered(304, "Cache-Control: max-age=3600", `ETag: "a"`, "Connection: X-Hop", "X-Hop: 1", "Proxy-Authenticate: Basic", "Keep-Alive: timeout=5").reuses(0, "-X-Hop"),
				get().reuses(0, "-X-Hop", "-Proxy-Authenticate", "-Keep-Alive"),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.4", Level: MustNot,
		Rule: "Do not update anything with a 304 whose strong validator no stored response has.",
		Cases: []Case{
			{Name: "after a 304 with another entity tag the response is fetched anew", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`, "X-Test: old"),
				get().answered(304, "Cache-Control: max-age=3600", `ETag: "b"`, "X-Test: new").
					again(Answer{Header: Lines{"Cache-Control: max-age=3600", `ETag: "b"`, "X-Test: newest"}}).sees(200, "X-Test: newest"),
				get().sees(200, "X-Test: newest").seesBody("answer 1\n"),
			}},
			{Name: "a 304 updates only the variant that has its entity tag", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600", "Vary: X-A", `ETag: "a"`, "X-Test: 1"),
				get("X-A: 2").answered(200, "Cache-Control: max-age=3600", "Vary: X-A", `ETag: "b"`, "X-Test: 2"),
				get("X-A: 2", "Cache-Control: no-cache").answered(304, "Vary: X-A", `ETag: "b"`, "X-Test: 3").reuses(1, "X-Test: 3"),
				get("X-A: 1").reuses(0, "X-Test: 1"),
				get("X-A: 2").reuses(1, "X-Test: 3"),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.4", Level: Must,
		Rule: "With a weak validator, update the most recent response that matches.",
		Cases: []Case{
			{Name: "a 304 with a weak entity tag updates the response that has it", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: W/"a"`, "X-Test: old"),
				get().answered(304, "Cache-Control: max-age=3600", `ETag: W/"a"`, "X-Test: new").reuses(0, "X-Test: new"),
				get().reuses(0, "X-Test: new"),
			}},
			{Name: "a 304 with only a date updates the response that has it", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", "Last-Modified: {now-1000}", "X-Test: old"),
				get().answered(304, "Cache-Control: max-age=3600", "Last-Modified: {now-1000}", "X-Test: new").reuses(0, "X-Test: new"),
				get().reuses(0, "X-Test: new"),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.4", Level: Must,
		Rule: "A 304 without a validator updates the only stored response if that has no validator either. Cirque also updates the response that was validated.",
		Cases: []Case{
			{Name: "a 304 without a validator updates the response that was validated", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`, "X-Test: old"),
				get().answered(304, "Cache-Control: max-age=3600", "X-Test: new").reuses(0, "X-Test: new", `ETag: "a"`),
				get().reuses(0, "X-Test: new", `ETag: "a"`),
			}},
		},
	},
	{
		Section: "RFC 9111 §3.2", Level: May,
		Rule: "Leave out of an update the fields that processing depends on.",
		Cases: []Case{
			{Name: "a 304 changes neither Content-Encoding nor Content-Range", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=0", `ETag: "a"`, "Content-Encoding: x-a"),
				get().answered(304, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Encoding: x-b", "Content-Range: bytes 0-1/2").reuses(0, "Content-Encoding: x-a", "-Content-Range"),
				get().reuses(0, "Content-Encoding: x-a", "-Content-Range"),
			}},
		},
	},
	{
		Section: "RFC 9111 §3.2", Level: Should,
		Rule:   "Do not leave out more than the integrity of the stored response requires.",
		KeptBy: []string{"a 304 updates an unknown Content- field", "a 304 updates Content-Language", "a 304 updates Content-Location", "a 304 updates Content-Type"},
	},
	{
		Section: "RFC 9111 §3.4", Level: Must,
		Rule:   "Update the stored fields with those of a new part.",
		KeptBy: []string{"a new part brings newer fields"},
	},
}

// updates shows that fields of a 304 replace the stored ones, for the client that validated and for
// the next.
func updates(what string, stored, update, after Lines) Case {
	fresh := Lines{"Cache-Control: max-age=3600"}
	before := Lines{"Cache-Control: max-age=3600"}
	if slices.ContainsFunc(update, func(line string) bool { return strings.HasPrefix(line, "Cache-Control:") }) {
		fresh, before = nil, nil
	}
	first := append(Lines{`ETag: "a"`}, append(before, stored...)...)
	second := append(Lines{`ETag: "a"`}, append(fresh, update...)...)
	return Case{Name: "a 304 updates " + what, Steps: []Step{
		get().answered(200, first...),
		get("Cache-Control: no-cache").answered(304, second...).reuses(0, after...),
		get().reuses(0, after...),
	}}
}
