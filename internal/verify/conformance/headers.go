package conformance

// headerRules are about which fields are stored and served (RFC 9111 §3.1, RFC 9110 §7.6.1).
var headerRules = []Requirement{
	{
		Section: "RFC 9111 §3.1", Level: Must,
		Rule: "Store all header fields, known and unknown.",
		Cases: []Case{
			storesField("an unknown field is stored", "Test-Header: some, value"),
			storesField("an X- field is stored", "X-Test-Header: value"),
			storesField("an unknown Content- field is stored", "Content-Foo: value"),
			storesField("a field with an odd name is stored", "X_a.b!c#d$e%f&g'h*i+j^k`l|m~n: value"),
			storesField("a field with a name of one letter is stored", "Q: value"),
			storesField("a field with a numeric name is stored", "1234: value"),
			storesField("an empty field is stored", "X-Empty:"),
			storesField("a field of several lines is stored as several lines", "X-Multi: one", "X-Multi: two, three", "X-Multi: one"),
			storesField("a field with non-ASCII bytes is stored unchanged", "X-Text: gr\xfc\xdf \xc3\xa9"),
			storesField("a long field is stored", "X-Long: "+long),
			storesField("Content-Type is stored", "Content-Type: application/x-test; a=b"),
			storesField("Content-Encoding is stored", "Content-Encoding: x-test"),
			storesField("Content-Language is stored", "Content-Language: de, fr"),
			storesField("Content-Location is stored", "Content-Location: /elsewhere"),
			storesField("Content-Disposition is stored", "Content-Disposition: attachment; filename=a"),
			storesField("Content-Security-Policy is stored", "Content-Security-Policy: default-src 'none'"),
			storesField("ETag is stored", `ETag: W/"a"`),
			storesField("Last-Modified is stored", "Last-Modified: {now-1000}"),
			storesField("Link is stored", "Link: </a>; rel=preload"),
			storesField("Location is stored", "Location: /x"),
			storesField("Server is stored", "Server: test"),
			storesField("Strict-Transport-Security is stored", "Strict-Transport-Security: max-age=1"),
			storesField("Via is stored", "Via: 1.1 upstream"),
			storesField("Warning is stored", `Warning: 199 - "miscellaneous"`),
			storesField("WWW-Authenticate is stored", "WWW-Authenticate: Basic realm=a", "WWW-Authenticate: Other"),
			storesField("Authentication-Info is stored", "Authentication-Info: a=b"),
			storesField("Access-Control-Allow-Origin is stored", "Access-Control-Allow-Origin: *"),
			storesField("Pragma is stored", "Pragma: x"),
			storesField("Expires is stored unchanged", "Expires: 0"),
			{Name: "Cache-Control is stored unchanged", Steps: []Step{
				get().answered(200, "Cache-Control:  Max-Age=3600,,x=\"y, z\"", "Cache-Control: other"),
				get().reuses(0, "Cache-Control: Max-Age=3600,,x=\"y, z\"", "Cache-Control: other"),
			}},
			{Name: "Content-Length is the length of the content", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600").with("twelve bytes"),
				get().reuses(0, "Content-Length: 12"),
			}},
		},
	},
	{
		Section: "RFC 9110 §5.1", Level: Must,
		Rule: "Compare field names without regard to case, even if a handler writes unusual spellings into the header map.",
		Cases: []Case{
			{Name: "cache-control: no-store in lower case is not stored", Steps: []Step{
				get().answer(Answer{Header: Lines{"cache-control: no-store", "expires: {now+3600}"}, Raw: true}),
				get().answered(200),
			}},
			{Name: "CACHE-CONTROL in upper case gives freshness", Steps: []Step{
				get().answer(Answer{Header: Lines{"CACHE-CONTROL: max-age=3600"}, Raw: true}),
				get().reuses(0),
			}},
			{Name: "ETag and vary in unusual spellings count", Steps: []Step{
				get("X-A: 1").answer(Answer{Header: Lines{"Cache-Control: max-age=3600", `ETag: "a"`, "vary: X-A"}, Raw: true}),
				get("X-A: 1", `If-None-Match: "a"`).sees(304),
				get("X-A: 2").answered(200, "Vary: X-A").asked(`If-None-Match: "a"`),
			}},
		},
	},
	{
		Section: "RFC 9111 §3.1, RFC 9110 §7.6.1", Level: Must,
		Rule: "Remove Connection, and the fields that it lists, before a response is forwarded or reused.",
		Cases: []Case{
			dropsField("a field that Connection lists is not stored", "X-Hop", "Connection: X-Hop", "X-Hop: 1"),
			dropsField("a field that Connection lists in another case is not stored", "X-Hop", "Connection: keep-alive, x-hop", "X-Hop: 1"),
			dropsField("a field that a second line of Connection lists is not stored", "X-Hop", "Connection: a", "Connection: X-Hop", "X-Hop: 1"),
			{Name: "a field that a request's Connection lists is not part of the variance", Steps: []Step{
				get("X-Lang: de").answered(200, "Cache-Control: max-age=3600", "Vary: X-Lang"),
				get("X-Lang: de", "Connection: X-Lang").answered(200, "Cache-Control: max-age=3600", "Vary: X-Lang").asked("-X-Lang"),
				get("X-Lang: de").reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §3.1, RFC 9110 §7.6.1", Level: Should,
		Rule: "Remove the hop-by-hop fields even if Connection does not list them.",
		Cases: []Case{
			dropsField("Keep-Alive is not stored", "Keep-Alive", "Keep-Alive: timeout=5"),
			dropsField("Proxy-Connection is not stored", "Proxy-Connection", "Proxy-Connection: keep-alive"),
			dropsField("TE is not stored", "TE", "TE: trailers"),
			dropsField("Upgrade is not stored", "Upgrade", "Upgrade: x-test"),
			dropsField("Connection is not stored", "Connection", "Connection: x-test"),
		},
	},
	{
		Section: "RFC 9111 §3.1", Level: MustNot,
		Rule: "Do not store fields that are specific to one proxy.",
		Cases: []Case{
			dropsField("Proxy-Authenticate is not stored", "Proxy-Authenticate", "Proxy-Authenticate: Basic realm=a"),
			dropsField("Proxy-Authentication-Info is not stored", "Proxy-Authentication-Info", "Proxy-Authentication-Info: a=b"),
			dropsField("Proxy-Authorization is not stored", "Proxy-Authorization", "Proxy-Authorization: Basic YTpi"),
		},
	},
	{
		Section: "RFC 9111 §3.1", Level: MustNot,
		Rule: "Do not merge trailer fields into the header.",
		Cases: []Case{
			{Name: "a trailer field does not become a header field", Steps: []Step{
				{Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600"}, Trailer: Lines{"X-Sum: 1", "ETag: \"t\""}},
					Sees: Sees{Header: Lines{"-X-Sum", "-ETag"}}},
				get().reuses(0, "-X-Sum", "-ETag"),
			}},
		},
	},
	{
		Section: "RFC 9111 §3.1", Level: May,
		Rule: "Store trailer fields separately, or drop them.",
		Cases: []Case{
			{Name: "trailer fields reach the first client and are not stored", Steps: []Step{
				{Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600"}, Trailer: Lines{"X-Sum: 1"}},
					Sees: Sees{Trailer: Lines{"X-Sum: 1"}}},
				{Sees: Sees{Body: "answer 0\n", Trailer: Lines{"-X-Sum"}}},
			}},
		},
	},
	{
		Section: "RFC 9110 §6.6.1", Level: Must,
		Rule: "If a response has no Date, record the time of receipt as its Date.",
		Cases: []Case{
			{Name: "a missing Date is added", Doors: remoteOrigin, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "-Date").sees(0, "Date: *"),
				get().reuses(0, "Date: *"),
			}},
			{Name: "a response without Date is stored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "-Date"),
				get().reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9110 §6.6.1", Level: Ours,
		Rule: "Keep the origin's Date unchanged while the response is stored.",
		Cases: []Case{
			{Name: "Date stays unchanged", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Date: {now-10}").sees(0, "Date: {now-10}"),
				get().reuses(0, "Date: {now-10}"),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.2.2.4", Level: May,
		Rule: "If no-cache lists fields, reuse the response without those fields.",
		Cases: []Case{
			{Name: `no-cache="f" leaves the field out of a reused response`, Steps: []Step{
				get().answered(200, `Cache-Control: max-age=3600, no-cache="X-Once"`, "X-Once: 1", "X-Other: 2").sees(0, "X-Once: 1"),
				get().reuses(0, "-X-Once", "X-Other: 2"),
			}},
			{Name: `no-cache="f, g" leaves all the fields out of a reused response`, Steps: []Step{
				get().answered(200, `Cache-Control: no-cache="x-once,SET-COOKIE", max-age=3600`, "X-Once: 1", "Set-Cookie: a=1"),
				get().reuses(0, "-X-Once", "-Set-Cookie"),
			}},
			{Name: "no-cache=f without quotes leaves the field out of a reused response", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600, no-cache=X-Once", "X-Once: 1"),
				get().reuses(0, "-X-Once"),
			}},
			{Name: `no-cache="f" sends the field after a validation`, Steps: []Step{
				get().answered(200, `Cache-Control: max-age=60, no-cache="X-Once"`, "Age: 61", "X-Once: 1", `ETag: "a"`),
				get().answered(304, `Cache-Control: max-age=60, no-cache="X-Once"`, "X-Once: 2", `ETag: "a"`).reuses(0),
				get().reuses(0, "-X-Once"),
			}},
			validated(`no-cache="f" next to a plain no-cache is validated`, `Cache-Control: max-age=3600, no-cache="X-Once", no-cache`),
		},
	},
	{
		Section: "RFC 9111 §5.2", Level: Must,
		Rule: "Forward cache directives in requests and responses.",
		Cases: []Case{
			{Name: "a request's directives reach the origin", Steps: []Step{
				get("Cache-Control: max-age=5, x-unknown").answered(200, "Cache-Control: no-store").asked("Cache-Control: max-age=5, x-unknown"),
			}},
			{Name: "a response's directives reach the client", Steps: []Step{
				get().answered(200, `Cache-Control: s-maxage=3600, x-unknown="a, b"`).sees(0, `Cache-Control: s-maxage=3600, x-unknown="a, b"`),
				get().reuses(0, `Cache-Control: s-maxage=3600, x-unknown="a, b"`),
			}},
		},
	},
	{
		Section: "RFC 9111 §5.2.1.6, §5.2.2.6", Level: MustNot,
		Rule: "Do not transform content with no-transform. Cirque never transforms content.",
		Cases: []Case{
			{Name: "content with no-transform stays unchanged", Steps: []Step{
				get("Cache-Control: no-transform").answered(200, "Cache-Control: max-age=3600, no-transform", "Content-Encoding: gzip").with("not really gzip").asked("Cache-Control: no-transform"),
				get("Accept-Encoding: identity").reuses(0, "Content-Encoding: gzip"),
			}},
		},
	},
}

const long = "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

// storesField shows that a reused response has the same lines as the response of the origin.
func storesField(name string, lines ...string) Case {
	return Case{Name: name, Steps: []Step{
		get().answered(200, append([]string{"Cache-Control: max-age=3600"}, lines...)...).sees(0, lines...),
		get().reuses(0, lines...),
	}}
}

// dropsField shows that a reused response lacks a field, and has the others.
func dropsField(name, field string, lines ...string) Case {
	return Case{Name: name, Steps: []Step{
		get().answered(200, append([]string{"Cache-Control: max-age=3600", "X-Rest: 1"}, lines...)...),
		get().reuses(0, "-"+field, "X-Rest: 1"),
	}}
}
