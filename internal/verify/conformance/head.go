package conformance

// headRules are about HEAD (RFC 9110 §9.3.2, RFC 9111 §4.3.5).
var headRules = []Requirement{
	{
		Section: "RFC 9110 §9.3.2", Level: MustNot,
		Rule: "Do not send content in response to HEAD.",
		Cases: []Case{
			{Name: "HEAD is answered from a stored GET", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "X-Test: 1").with("twelve bytes"),
				head().reuses(0, "X-Test: 1", "Content-Length: 12", "Content-Type: text/plain"),
			}},
			{Name: "HEAD is answered from a stored 404", Steps: []Step{
				get().answered(404, "Cache-Control: max-age=3600"),
				head().reuses(0),
			}},
			{Name: "Range in HEAD is ignored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600").with("0123456789"),
				head("Range: bytes=2-4").sees(200, "-Content-Range", "Content-Length: 10"),
			}},
		},
	},
	{
		Section: "RFC 9110 §9.3.2", Level: Ours,
		Rule: "Forward HEAD as HEAD.",
		Cases: []Case{
			{Name: "HEAD is forwarded as HEAD", Steps: []Step{
				head().answered(200, "Cache-Control: max-age=3600"),
			}},
			{Name: "HEAD for a stale response is forwarded as HEAD", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61"),
				head().answered(200, "Cache-Control: max-age=60", "Content-Length: 9").sees(200),
			}},
		},
	},
	{
		Section: "RFC 9110 §9.3.2", Level: May,
		Rule:    "Use a response to HEAD for later HEAD requests.",
		NotKept: "responses to HEAD are not stored. HEAD misses are rare, and Config.HeadAsGet turns them into GET",
	},
	{
		Section: "RFC 9111 §4.3.5", Level: Should,
		Rule: "Update the stored GET if a 200 to HEAD has the same validators and length.",
		Cases: []Case{
			{Name: "a HEAD with the same entity tag updates the stored GET", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`, "X-Test: old", "X-Kept: 1"),
				head().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`, "X-Test: new", "Content-Length: 9").sees(200, "X-Test: new"),
				get().reuses(0, "X-Test: new", "X-Kept: 1", "Cache-Control: max-age=3600"),
			}},
			{Name: "a HEAD with the same date updates the stored GET", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", "Last-Modified: {now-1000}"),
				head().answered(200, "Cache-Control: max-age=3600", "Last-Modified: {now-1000}", "-Content-Length").sees(200),
				get().reuses(0),
			}},
			{Name: "a HEAD that the client forced updates the stored GET", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Age: 100", `ETag: "a"`, "X-Test: old"),
				head("Cache-Control: no-cache").answered(200, "Cache-Control: max-age=3600", `ETag: "a"`, "X-Test: new", "Content-Length: 9").sees(200),
				get().reuses(0, "X-Test: new", "Age: ~0"),
			}},
			{Name: "a 304 to HEAD updates the stored GET", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				head().answered(304, "Cache-Control: max-age=3600", `ETag: "a"`).sees(200),
				get().reuses(0),
			}},
			{Name: "a HEAD updates only the requested variant", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600", "Vary: X-A", `ETag: "a"`, "X-Test: 1"),
				get("X-A: 2").answered(200, "Cache-Control: max-age=60", "Age: 61", "Vary: X-A", `ETag: "b"`, "X-Test: 2"),
				head("X-A: 2").answered(200, "Cache-Control: max-age=3600", "Vary: X-A", `ETag: "b"`, "X-Test: 3", "Content-Length: 9").sees(200),
				get("X-A: 1").reuses(0, "X-Test: 1"),
				get("X-A: 2").reuses(1, "X-Test: 3"),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.5", Level: Should,
		Rule: "Otherwise consider the stored GET stale.",
		Cases: []Case{
			{Name: "a HEAD with another entity tag makes the stored GET stale", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				head("Cache-Control: no-cache").answered(200, "Cache-Control: max-age=3600", `ETag: "b"`, "Content-Length: 9"),
				get().answered(200, "Cache-Control: max-age=3600"),
			}},
			{Name: "a HEAD with another date makes the stored GET stale", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Last-Modified: {now-1000}"),
				head("Cache-Control: no-cache").answered(200, "Cache-Control: max-age=3600", "Last-Modified: {now-500}", "Content-Length: 9"),
				get().answered(200, "Cache-Control: max-age=3600"),
			}},
			{Name: "a HEAD with another length makes the stored GET stale", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`),
				head("Cache-Control: no-cache").answered(200, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Length: 12345"),
				get().answered(200, "Cache-Control: max-age=3600"),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.5", Level: Ours,
		Rule: "If a 200 to HEAD has no validators and the same length, do not update the stored GET and do not consider it stale: two versions may have the same length.",
		Cases: []Case{
			{Name: "a HEAD without validators does not update a stored GET of the same length", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60, stale-if-error=10", "Age: 61"),
				head().answered(200, "Cache-Control: max-age=3600", "Content-Length: 9").sees(200),
				get().answered(200, "Cache-Control: max-age=3600"),
			}},
			{Name: "a HEAD without validators does not update a stored GET with validators", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`),
				head().answered(200, "Cache-Control: max-age=3600", "Content-Length: 9").sees(200),
				get().answered(200, "Cache-Control: max-age=3600"),
			}},
			{Name: "a HEAD without validators does not make a fresh GET stale", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				head("Cache-Control: no-cache").answered(200, "Cache-Control: max-age=3600", "Content-Length: 9").sees(200),
				get().reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9111 §4.3.5", Level: Must,
		Rule:   "Update with the fields of the response to HEAD.",
		KeptBy: []string{"a HEAD with the same entity tag updates the stored GET"},
	},
	{
		Section: "RFC 9111 §4.3.5", Level: Ours,
		Rule: "A HEAD that fails does not change the stored GET.",
		Cases: []Case{
			{Name: "a 500 to HEAD does not change the stored GET", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600"),
				head("Cache-Control: no-cache").answered(500),
				get().reuses(0),
			}},
		},
	},
}
