package conformance

var forwarding = Setup{ForwardRanges: true}

// partialRules are about incomplete responses (RFC 9111 §3.3 and §3.4, RFC 9110 §15.3.7.3). They
// are stored if the configuration forwards ranges.
var partialRules = []Requirement{
	{
		Section: "RFC 9111 §3.3", Level: May,
		Rule: "Store a 206 as an incomplete response, and reuse it for ranges within it.",
		Cases: []Case{
			{Name: "a range on a miss is forwarded if so configured", Setup: forwarding, Steps: []Step{
				part("2-4", "234"),
				get("Range: bytes=2-4").sees(206, "Content-Range: bytes 2-4/10", `ETag: "a"`).seesBody("234"),
			}},
			{Name: "a part serves a range inside it", Setup: forwarding, Steps: []Step{
				part("2-7", "234567"),
				get("Range: bytes=3-5").sees(206, "Content-Range: bytes 3-5/10").seesBody("345"),
				get("Range: bytes=2-2").sees(206, "Content-Range: bytes 2-2/10").seesBody("2"),
			}},
			{Name: "a part at the end serves a suffix", Setup: forwarding, Steps: []Step{
				part("5-9", "56789"),
				get("Range: bytes=-3").sees(206, "Content-Range: bytes 7-9/10").seesBody("789"),
				get("Range: bytes=8-").sees(206, "Content-Range: bytes 8-9/10").seesBody("89"),
				get("Range: bytes=6-99").sees(206, "Content-Range: bytes 6-9/10").seesBody("6789"),
			}},
			{Name: "a 206 with the whole representation serves GET", Setup: forwarding, Steps: []Step{
				part("0-9", digits),
				get().sees(200, "Content-Length: 10", "-Content-Range").seesBody(digits),
				get("Range: bytes=4-4").sees(206, "Content-Range: bytes 4-4/10").seesBody("4"),
			}},
			{Name: "a 200 to a forwarded range is stored whole", Setup: forwarding, Steps: []Step{
				get("Range: bytes=2-4").answered(200, "Cache-Control: max-age=3600", `ETag: "a"`).with(digits).asked("Range: bytes=2-4").sees(206).seesBody("234"),
				get().reuses(0),
			}},
			{Name: "a part of a variant serves that variant", Setup: forwarding, Steps: []Step{
				get("X-A: 1", "Range: bytes=2-4").answered(206, "Cache-Control: max-age=3600", `ETag: "a"`, "Vary: X-A", "Content-Range: bytes 2-4/10").with("234"),
				get("X-A: 1", "Range: bytes=3-3").sees(206).seesBody("3"),
				get("X-A: 2", "Range: bytes=3-3").answered(206, "Cache-Control: max-age=3600", `ETag: "b"`, "Vary: X-A", "Content-Range: bytes 3-3/10").with("x"),
			}},
		},
	},
	{
		Section: "RFC 9111 §3.3", Level: MustNot,
		Rule: "Do not store a part in an unknown unit, or a part that may not belong to one representation.",
		Cases: []Case{
			partNotStored("a 206 in another unit is not stored", "bytes=2-4", `ETag: "a"`, "Content-Range: lines 2-4/10"),
			partNotStored("a 206 without Content-Range is not stored", "bytes=2-4", `ETag: "a"`),
			partNotStored("a 206 with an invalid Content-Range is not stored", "bytes=2-4", `ETag: "a"`, "Content-Range: bytes 4-2/10"),
			partNotStored("a 206 whose complete length is too small is not stored", "bytes=2-4", `ETag: "a"`, "Content-Range: bytes 2-4/4"),
			partNotStored("a 206 whose Content-Range does not fit its content is not stored", "bytes=2-4", `ETag: "a"`, "Content-Range: bytes 2-8/10"),
			partNotStored("a 206 without a validator is not stored", "bytes=2-4", "Content-Range: bytes 2-4/10"),
			partNotStored("a 206 with a weak validator is not stored", "bytes=2-4", `ETag: W/"a"`, "Content-Range: bytes 2-4/10"),
			partNotStored("a 206 with a weak date is not stored", "bytes=2-4", "Last-Modified: {now}", "Date: {now}", "Content-Range: bytes 2-4/10"),
			partNotStored("a multipart 206 is not stored", "bytes=2-4", `ETag: "a"`, "Content-Type: multipart/byteranges; boundary=x"),
			partNotStored("a 206 with no-store is not stored", "bytes=2-4", `ETag: "a"`, "Content-Range: bytes 2-4/10", "Cache-Control: no-store"),
		},
		KeptBy: []string{"a 206 to a request without Range is not stored"},
	},
	{
		Section: "RFC 9111 §3.3", Level: May,
		Rule:    "Store a 200 that broke off as an incomplete response.",
		NotKept: "only complete responses, and parts from ranges, are stored",
	},
	{
		Section: "RFC 9111 §3.3", Level: MustNot,
		Rule: "Do not answer a request with an incomplete response that lacks some of the requested bytes.",
		Cases: []Case{
			{Name: "a part does not serve a range outside it", Setup: forwarding, Steps: []Step{
				part("0-4", "01234"),
				get("Range: bytes=5-9").answered(206, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Range: bytes 5-9/10").with("56789").sees(206, "Content-Range: bytes 5-9/10"),
			}},
			{Name: "a part does not serve GET without Range", Setup: forwarding, Steps: []Step{
				part("2-4", "234"),
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "b"`).with("something else"),
				get().sees(200, `ETag: "b"`).seesBody("something else"),
			}},
			{Name: "a part does not serve HEAD", Setup: forwarding, Steps: []Step{
				part("2-4", "234"),
				head().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Length: 10"),
			}},
			{Name: "a stale part is validated", Setup: forwarding, Steps: []Step{
				get("Range: bytes=2-4").answered(206, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`, "Content-Range: bytes 2-4/10").with("234"),
				get("Range: bytes=2-4").answered(206, "Cache-Control: max-age=3600", `ETag: "b"`, "Content-Range: bytes 2-4/10").with("xyz").sees(206, `ETag: "b"`),
			}},
		},
	},
	{
		Section: "RFC 9111 §3.3", Level: MustNot,
		Rule:   "Do not send a partial response with another status than 206.",
		KeptBy: []string{"a part serves a range inside it", "a part does not serve GET without Range"},
	},
	{
		Section: "RFC 9111 §3.3, §3.4", Level: May,
		Rule: "Complete an incomplete response by requesting the missing bytes.",
		Cases: []Case{
			{Name: "a GET is completed from a part at the start", Setup: forwarding, Seeks: true, Steps: []Step{
				part("0-4", "01234"),
				get().answered(206, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Range: bytes 5-9/10").with("56789").
					asked("Range: bytes=5-9", `If-Range: "a"`).sees(200, "Content-Length: 10", "-Content-Range").seesBody(digits),
				get().sees(200, "Content-Length: 10").seesBody(digits),
			}},
			{Name: "a GET is completed from a part at the end", Setup: forwarding, Seeks: true, Steps: []Step{
				part("5-9", "56789"),
				get().answered(206, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Range: bytes 0-4/10").with("01234").
					asked("Range: bytes=0-4", `If-Range: "a"`).sees(200, "Content-Length: 10").seesBody(digits),
				get().sees(200).seesBody(digits),
			}},
			{Name: "a GET is completed by date if the date is strong", Setup: forwarding, Seeks: true, Steps: []Step{
				get("Range: bytes=0-4").answered(206, "Cache-Control: max-age=3600", "Last-Modified: {now-1000}", "Content-Range: bytes 0-4/10").with("01234"),
				get().answered(206, "Cache-Control: max-age=3600", "Last-Modified: {now-1000}", "Content-Range: bytes 5-9/10").with("56789").
					asked("Range: bytes=5-9", "If-Range: {now-1000}").sees(200).seesBody(digits),
			}},
			{Name: "the missing bytes between parts are requested as one range", Setup: forwarding, Seeks: true, Steps: []Step{
				part("0-1", "01"),
				part("8-9", "89"),
				part("4-4", "4"),
				get().answered(206, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Range: bytes 2-7/10").with("234567").
					asked("Range: bytes=2-7").sees(200).seesBody(digits),
			}},
			{Name: "a range is completed from the parts it overlaps", Setup: forwarding, Seeks: true, Steps: []Step{
				part("0-4", "01234"),
				get("Range: bytes=3-6").answered(206, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Range: bytes 5-6/10").with("56").
					asked("Range: bytes=5-6", `If-Range: "a"`).sees(206, "Content-Range: bytes 3-6/10").seesBody("3456"),
			}},
			{Name: "a representation that has changed is not completed", Setup: forwarding, Seeks: true, Steps: []Step{
				part("0-4", "01234"),
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "b"`).with("all new").asked(`If-Range: "a"`).sees(200, `ETag: "b"`).seesBody("all new"),
				get().sees(200, `ETag: "b"`).seesBody("all new"),
			}},
		},
	},
	{
		Section: "RFC 9110 §13.1.5", Level: MustNot,
		Rule:   "As a client, send If-Range only with Range, and never with a weak entity tag. Use a date only if there is no tag and the date is strong.",
		KeptBy: []string{"a GET is completed from a part at the start", "a 206 with a weak validator is not stored", "a 206 with a weak date is not stored", "a GET is completed by date if the date is strong"},
	},
	{
		Section: "RFC 9110 §14.2", Level: ShouldNot,
		Rule:   "As a client, do not request several ranges if one is enough.",
		KeptBy: []string{"the missing bytes between parts are requested as one range"},
	},
	{
		Section: "RFC 9111 §3.4", Level: May,
		Rule: "Combine parts that have the same strong validator.",
		Cases: []Case{
			{Name: "two adjacent parts are combined", Setup: forwarding, Seeks: true, Steps: []Step{
				part("0-4", "01234"),
				part("5-7", "567"),
				get("Range: bytes=3-6").sees(206, "Content-Range: bytes 3-6/10").seesBody("3456"),
			}},
			{Name: "two parts that complete each other become a complete response", Setup: forwarding, Seeks: true, Steps: []Step{
				part("0-4", "01234"),
				part("5-9", "56789"),
				get().sees(200, "Content-Length: 10", "-Content-Range").seesBody(digits),
			}},
			{Name: "parts with different entity tags are not combined", Setup: forwarding, Seeks: true, Steps: []Step{
				part("0-4", "01234"),
				get("Range: bytes=5-9").answered(206, "Cache-Control: max-age=3600", `ETag: "b"`, "Content-Range: bytes 5-9/10").with("uvwxy").
					again(Answer{Status: 206, Header: Lines{"Cache-Control: max-age=3600", `ETag: "b"`, "Content-Range: bytes 5-9/10"}, Body: "vwxyz"}).
					asked(`If-Range: "a"`).sees(206, `ETag: "b"`, "Content-Range: bytes 5-9/10"),
				get("Range: bytes=0-4").answered(206, "Cache-Control: max-age=3600", `ETag: "b"`, "Content-Range: bytes 0-4/10").with("abcde").sees(206, `ETag: "b"`),
			}},
			{Name: "parts with different complete lengths are not combined", Setup: forwarding, Seeks: true, Steps: []Step{
				part("0-4", "01234"),
				get("Range: bytes=5-9").answered(206, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Range: bytes 5-9/20").with("uvwxy").
					again(Answer{Status: 206, Header: Lines{"Cache-Control: max-age=3600", `ETag: "a"`, "Content-Range: bytes 5-9/20"}, Body: "vwxyz"}).
					sees(206, "Content-Range: bytes 5-9/20"),
				get("Range: bytes=0-4").answered(206, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Range: bytes 0-4/20").with("abcde").sees(206, "Content-Range: bytes 0-4/20"),
			}},
			{Name: "a 200 to a request for missing bytes replaces the part", Setup: forwarding, Seeks: true, Steps: []Step{
				part("0-4", "01234"),
				get("Range: bytes=5-9").answered(200, "Cache-Control: max-age=3600", `ETag: "b"`).with("abcdefghij").asked("Range: bytes=5-9", `If-Range: "a"`).
					sees(206, `ETag: "b"`, "Content-Range: bytes 5-9/10").seesBody("fghij"),
				get("Range: bytes=0-4").sees(206, `ETag: "b"`).seesBody("abcde"),
			}},
		},
	},
	{
		Section: "RFC 9111 §3.4, RFC 9110 §15.3.7.3", Level: Must,
		Rule: "In a combined response the newest fields replace the stored ones; stored fields that the newest response lacks are kept.",
		Cases: []Case{
			{Name: "a new part brings newer fields", Setup: forwarding, Seeks: true, Steps: []Step{
				get("Range: bytes=0-4").answered(206, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Range: bytes 0-4/10", "X-Test: old", "X-Kept: 1").with("01234"),
				get("Range: bytes=5-9").answered(206, "Cache-Control: max-age=3600, new", `ETag: "a"`, "Content-Range: bytes 5-9/10", "X-Test: new").with("56789"),
				get("Range: bytes=1-2").sees(206, "Content-Range: bytes 1-2/10", "X-Test: new", "X-Kept: 1", "Cache-Control: max-age=3600, new").seesBody("12"),
				get().sees(200, "X-Test: new", "X-Kept: 1", "-Content-Range", "Content-Length: 10").seesBody(digits),
			}},
			{Name: "a completing part brings newer fields to its own client", Setup: forwarding, Seeks: true, Steps: []Step{
				get("Range: bytes=0-4").answered(206, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Range: bytes 0-4/10", "X-Test: old", "X-Kept: 1").with("01234"),
				get().answered(206, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Range: bytes 5-9/10", "X-Test: new").with("56789").
					sees(200, "X-Test: new", "X-Kept: 1", "-Content-Range").seesBody(digits),
			}},
			{Name: "a completed response has the complete Content-Length", Setup: forwarding, Seeks: true, Steps: []Step{
				part("0-4", "01234"),
				part("5-9", "56789"),
				head().sees(200, "Content-Length: 10", "-Content-Range"),
			}},
		},
	},
	{
		Section: "RFC 9110 §14.4", Level: MustNot,
		Rule: "Do not combine a part whose Content-Range is invalid or in an unknown unit.",
		Cases: []Case{
			{Name: "a part with an invalid Content-Range is forwarded and not combined", Setup: forwarding, Seeks: true, Steps: []Step{
				part("0-4", "01234"),
				get("Range: bytes=5-9").answered(206, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Range: bytes 9-5/10").with("56789").
					again(Answer{Status: 206, Header: Lines{"Cache-Control: max-age=3600", `ETag: "a"`, "Content-Range: bytes 9-5/10"}, Body: "56789"}),
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`).with(digits).seesBody(digits),
			}},
		},
		KeptBy: []string{"a 206 in another unit is not stored"},
	},
	{
		Section: "RFC 9110 §14.4", Level: Should,
		Rule:   "Forward a 206 in an unknown unit.",
		KeptBy: []string{"a 206 in another unit is not stored"},
	},
	{
		Section: "RFC 9111 §4.3.2", Level: MustNot,
		Rule: "Do not send the entity tag of a part to validate a complete response.",
		Cases: []Case{
			{Name: "the entity tag of a part is not sent for GET without Range", Setup: forwarding, Steps: []Step{
				get("Range: bytes=0-4").answered(206, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`, "Content-Range: bytes 0-4/10").with("01234"),
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`).with(digits).asked("-If-None-Match").sees(200).seesBody(digits),
			}},
		},
	},
	{
		Section: "RFC 9110 §15.3.7.3", Level: Must,
		Rule:   "Serve a combined response that is complete as a 200 with its complete length, and any other as a 206.",
		KeptBy: []string{"two parts that complete each other become a complete response", "two adjacent parts are combined"},
	},
	{
		Section: "RFC 9111 §3.3", Level: Ours,
		Rule: "A complete response replaces a part. An error about a range removes nothing.",
		Cases: []Case{
			{Name: "a complete response replaces a part", Setup: forwarding, Steps: []Step{
				part("0-4", "01234"),
				get("Cache-Control: no-cache").answered(200, "Cache-Control: max-age=3600", `ETag: "b"`).with("all new"),
				get("Range: bytes=0-2").sees(206, `ETag: "b"`).seesBody("all"),
			}},
			{Name: "a part does not replace a complete response", Setup: forwarding, Steps: []Step{
				stored(),
				get("Range: bytes=2-4").sees(206).seesBody("234"),
				get().reuses(0),
			}},
			{Name: "a 416 to a forwarded range is forwarded and not stored", Setup: forwarding, Steps: []Step{
				get("Range: bytes=20-").answered(416, "Cache-Control: max-age=3600", "Content-Range: bytes */10"),
				get("Range: bytes=2-4").answered(206, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Range: bytes 2-4/10").with("234"),
			}},
			{Name: "an unsafe request invalidates a part", Setup: forwarding, Steps: []Step{
				part("2-4", "234"),
				send("POST").answered(204),
				part("2-4", "234"),
			}},
		},
	},
}

// part returns a step in which the origin answers a request for a range.
func part(bytes, body string) Step {
	return get("Range: bytes="+bytes).
		answered(206, "Cache-Control: max-age=3600", `ETag: "a"`, "Content-Range: bytes "+bytes+"/10").with(body).
		sees(206, "Content-Range: bytes "+bytes+"/10")
}

// partNotStored shows that a 206 with these fields is forwarded and not stored.
func partNotStored(name, value string, header ...string) Case {
	answer := Answer{Status: 206, Header: append(Lines{"Cache-Control: max-age=3600"}, header...), Body: "234"}
	ask := Step{Header: Lines{"Range: " + value}, Answer: &answer, Asked: Asked{Header: Lines{"Range: " + value, "-If-None-Match"}}}
	return Case{Name: name, Setup: forwarding, Steps: []Step{ask, ask}}
}
