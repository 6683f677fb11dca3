package conformance

import "strings"

// rangeRules are about ranges of complete stored responses (RFC 9110 §13.1.5, §14 and §15.3.7).
var rangeRules = []Requirement{
	{
		Section: "RFC 9110 §14.2", Level: Should,
		Rule: "Answer a satisfiable range of a stored response with a 206.",
		Cases: []Case{
			ranged("the first bytes", "bytes=0-1", "01", "bytes 0-1/10"),
			ranged("bytes in the middle", "bytes=2-4", "234", "bytes 2-4/10"),
			ranged("one byte", "bytes=3-3", "3", "bytes 3-3/10"),
			ranged("the last byte", "bytes=9-9", "9", "bytes 9-9/10"),
			ranged("an open end", "bytes=7-", "789", "bytes 7-9/10"),
			ranged("all bytes", "bytes=0-", "0123456789", "bytes 0-9/10"),
			ranged("an end beyond the last byte", "bytes=8-99", "89", "bytes 8-9/10"),
			ranged("an end of thirty digits", "bytes=8-999999999999999999999999999999", "89", "bytes 8-9/10"),
			ranged("a suffix", "bytes=-3", "789", "bytes 7-9/10"),
			ranged("a suffix longer than the content", "bytes=-99", "0123456789", "bytes 0-9/10"),
			ranged("a suffix of thirty digits", "bytes=-999999999999999999999999999999", "0123456789", "bytes 0-9/10"),
			ranged("a unit in upper case", "Bytes=2-4", "234", "bytes 2-4/10"),
			ranged("leading zeros", "bytes=002-004", "234", "bytes 2-4/10"),
			{Name: "a range on a miss is answered from the whole", Steps: []Step{
				get("Range: bytes=2-4").answered(200, "Cache-Control: max-age=3600").with("0123456789").asked("-Range").
					sees(206, "Content-Range: bytes 2-4/10").seesBody("234"),
				get().reuses(0),
			}},
			{Name: "a range of a validated response is a 206", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=60", "Age: 61", `ETag: "a"`).with("0123456789"),
				get("Range: bytes=2-4").answered(304, `ETag: "a"`).asked("-Range", `If-None-Match: "a"`).sees(206, "Content-Range: bytes 2-4/10").seesBody("234"),
			}},
			{Name: "a range of a response of unknown length is a 206 once it is stored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "-Content-Length").with("0123456789"),
				get("Range: bytes=2-4").sees(206, "Content-Range: bytes 2-4/10").seesBody("234"),
			}},
		},
	},
	{
		Section: "RFC 9110 §14.1.2, §15.3.7.2", Level: Should,
		Rule: "Answer several ranges in parts, in the order of the request. Ranges that touch become one part.",
		Cases: []Case{
			rangedParts("two ranges", "bytes=0-1,5-6", Part{"bytes 0-1/10", "01", "text/plain"}, Part{"bytes 5-6/10", "56", "text/plain"}),
			rangedParts("two ranges in another order", "bytes=5-6, 0-1", Part{"bytes 5-6/10", "56", "text/plain"}, Part{"bytes 0-1/10", "01", "text/plain"}),
			rangedParts("a range and a suffix", "bytes=0-0,-1", Part{"bytes 0-0/10", "0", "text/plain"}, Part{"bytes 9-9/10", "9", "text/plain"}),
			rangedParts("three ranges, one of them beyond the end", "bytes=0-0,20-30,4-5", Part{"bytes 0-0/10", "0", "text/plain"}, Part{"bytes 4-5/10", "45", "text/plain"}),
			ranged("overlapping ranges", "bytes=2-5,4-7", "234567", "bytes 2-7/10"),
			ranged("adjacent ranges", "bytes=2-3,4-5", "2345", "bytes 2-5/10"),
			ranged("a range and one beyond the end", "bytes=2-4,20-30", "234", "bytes 2-4/10"),
			{Name: "a multipart response has no Content-Range and parts with the content's type", Seeks: true, Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Content-Type: text/x-test").with("0123456789"),
				{Header: Lines{"Range: bytes=0-0,9-9"}, Sees: Sees{Status: 206, Header: Lines{"-Content-Range"},
					Parts: []Part{{"bytes 0-0/10", "0", "text/x-test"}, {"bytes 9-9/10", "9", "text/x-test"}}}},
			}},
		},
	},
	{
		Section: "RFC 9110 §14.2", Level: Should,
		Rule: "Answer 416 with the current length if no range is satisfiable.",
		Cases: []Case{
			unsatisfiable("a range beyond the end", "bytes=10-"),
			unsatisfiable("a range that starts at thirty digits", "bytes=999999999999999999999999999999-"),
			unsatisfiable("an empty suffix", "bytes=-0"),
			unsatisfiable("several ranges beyond the end", "bytes=10-11,20-21"),
		},
	},
	{
		Section: "RFC 9110 §14.2", Level: May,
		Rule: "Ignore a Range that is invalid, has another unit, has too many ranges, or is for empty content.",
		Cases: []Case{
			notRanged("another unit", "lines=1-2"),
			notRanged("no unit", "1-2"),
			notRanged("an end before the start", "bytes=4-2"),
			notRanged("a range without numbers", "bytes=a-b"),
			notRanged("a negative number", "bytes=-1-2"),
			notRanged("a sign", "bytes=+1-2"),
			notRanged("a missing set", "bytes="),
			notRanged("a set of empty members", "bytes= , ,"),
			notRanged("one invalid range among valid ones", "bytes=1-2,x"),
			notRanged("more than sixteen ranges", "bytes=0-0,"+strings.Repeat("2-2,", 16)+"4-4"),
			{Name: "a range of empty content is ignored", Steps: []Step{
				{Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600", "Content-Length: 0"}, Empty: true}},
				get("Range: bytes=0-").sees(200, "Content-Length: 0").seesNothing(),
			}},
		},
	},
	{
		Section: "RFC 9110 §14.2", Level: Must,
		Rule: "Ignore Range for methods other than GET. Evaluate it after the preconditions, and only if the answer would be a 200.",
		Cases: []Case{
			{Name: "a 304 takes precedence over a range", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`).with("0123456789"),
				get("Range: bytes=2-4", `If-None-Match: "a"`).sees(304, "-Content-Range"),
				get("Range: bytes=2-4", `If-None-Match: "b"`).sees(206).seesBody("234"),
			}},
			{Name: "a range of a stored 404 is ignored", Steps: []Step{
				get().answered(404, "Cache-Control: max-age=3600"),
				get("Range: bytes=2-4").reuses(0, "-Content-Range"),
			}},
			{Name: "a range of a stored redirect is ignored", Steps: []Step{
				get().answered(301, "Cache-Control: max-age=3600", "Location: /x"),
				get("Range: bytes=2-4").reuses(0),
			}},
		},
		KeptBy: []string{"Range in HEAD is ignored"},
	},
	{
		Section: "RFC 9110 §14.2", Level: May,
		Rule:   "As a proxy, drop a Range in an unknown unit.",
		KeptBy: []string{"Range is ignored: another unit"},
	},
	{
		Section: "RFC 9110 §13.1.5", Level: Must,
		Rule: "Ignore Range if If-Range does not hold. It holds only for the strong validator of the response.",
		Cases: []Case{
			ifRange("the entity tag", `If-Range: "a"`, true),
			ifRange("another entity tag", `If-Range: "b"`, false),
			ifRange("the entity tag marked weak", `If-Range: W/"a"`, false),
			ifRange("the date", "If-Range: {now-1000}", true),
			ifRange("a later date", "If-Range: {now-500}", false),
			ifRange("an earlier date", "If-Range: {now-1500}", false),
			ifRange("an invalid validator", "If-Range: a", false),
			{Name: "If-Range with a weak entity tag never holds", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: W/"a"`).with("0123456789"),
				get("Range: bytes=2-4", `If-Range: W/"a"`).sees(200).seesBody("0123456789"),
			}},
			{Name: "If-Range with a date as young as the response does not hold", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Last-Modified: {now}", "Date: {now}").with("0123456789"),
				get("Range: bytes=2-4", "If-Range: {now}").sees(200).seesBody("0123456789"),
			}},
			{Name: "If-Range without Range is ignored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", `ETag: "a"`).with("0123456789"),
				get(`If-Range: "b"`).reuses(0),
			}},
		},
	},
	{
		Section: "RFC 9110 §15.3.7", Level: Must,
		Rule: "A 206 has Date, Cache-Control, ETag, Expires, Content-Location and Vary if the 200 would have them. Without If-Range it has all the fields of the 200.",
		Cases: []Case{
			{Name: "a 206 has the fields of the 200", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600, x", "Expires: {now+60}", "Date: {now-5}", `ETag: "a"`, "Vary: X-A", "Content-Location: /x", "Content-Type: text/x", "X-Test: 1").with("0123456789"),
				get("X-A: 1", "Range: bytes=2-4").sees(206, "Cache-Control: max-age=3600, x", "Expires: {now+60}", "Date: {now-5}", `ETag: "a"`, "Vary: X-A", "Content-Location: /x", "Content-Type: text/x", "X-Test: 1", "Content-Length: 3").seesBody("234"),
				get("X-A: 1", "Range: bytes=2-4", `If-Range: "a"`).sees(206, "Cache-Control: max-age=3600, x", "Expires: {now+60}", "Date: {now-5}", `ETag: "a"`, "Vary: X-A", "Content-Location: /x").seesBody("234"),
			}},
		},
	},
	{
		Section: "RFC 9110 §15.3.7", Level: ShouldNot,
		Rule:    "Do not repeat other representation fields in a 206 to a request with If-Range.",
		NotKept: "a client that misses a field loses more than the few bytes saved",
	},
	{
		Section: "RFC 9110 §15.3.7.1, §14.4", Level: Must,
		Rule:   "A 206 of one part has a Content-Range, with the complete length, and exactly that content.",
		KeptBy: []string{"a 206 answers bytes in the middle", "a 206 answers an open end"},
	},
	{
		Section: "RFC 9110 §15.3.7.2", Level: Must,
		Rule:   "A 206 of several parts is multipart/byteranges, with a Content-Range in each part and none in the header.",
		KeptBy: []string{"a 206 in parts answers two ranges", "a multipart response has no Content-Range and parts with the content's type"},
	},
	{
		Section: "RFC 9110 §15.3.7.2", Level: MustNot,
		Rule:   "Do not send a multipart response to a request for one range.",
		KeptBy: []string{"a 206 answers bytes in the middle"},
	},
	{
		Section: "RFC 9110 §15.5.17, §14.4", Level: Should,
		Rule:   "A 416 has the complete length of the representation.",
		KeptBy: []string{"a 416 answers a range beyond the end"},
	},
	{
		Section: "RFC 9110 §8.8.2.2", Level: Must,
		Rule:   "Treat Last-Modified as a strong validator only if Date is at least a second later.",
		KeptBy: []string{"If-Range with the date holds", "If-Range with a date as young as the response does not hold"},
	},
	{
		Section: "RFC 9110 §14.1.2", Level: Must,
		Rule:   "Do not let large numbers overflow.",
		KeptBy: []string{"a 206 answers an end of thirty digits", "a 206 answers a suffix of thirty digits", "a 416 answers a range that starts at thirty digits"},
	},
	{
		Section: "RFC 9110 §14.3", Level: May,
		Rule: "Leave Accept-Ranges to the origin.",
		Cases: []Case{
			storesField("Accept-Ranges is stored", "Accept-Ranges: bytes"),
		},
	},
	{
		Section: "RFC 9110 §14.4, §14.5", Level: Must,
		Rule: "Ignore Content-Range if the status or method gives it no meaning.",
		Cases: []Case{
			{Name: "Content-Range in a 200 is ignored", Steps: []Step{
				get().answered(200, "Cache-Control: max-age=3600", "Content-Range: bytes 0-9/100").with("0123456789"),
				get().reuses(0),
			}},
			{Name: "Content-Range in a PUT reaches the origin", Steps: []Step{
				{Method: "PUT", Body: "x", Header: Lines{"Content-Range: bytes 0-0/1"}, Answer: &Answer{Status: 400}, Asked: Asked{Header: Lines{"Content-Range: bytes 0-0/1"}}},
			}},
		},
	},
}

const digits = "0123456789"

// stored returns a step after which the ten digits are stored.
func stored(header ...string) Step {
	return get().answered(200, append([]string{"Cache-Control: max-age=3600", `ETag: "a"`, "Last-Modified: {now-1000}"}, header...)...).with(digits)
}

// ranged shows that a range of the ten digits is answered with a 206 of one part.
func ranged(what, value, body, contentRange string) Case {
	return Case{Name: "a 206 answers " + what, Steps: []Step{
		stored(),
		get("Range: "+value).sees(206, "Content-Range: "+contentRange).seesBody(body),
	}}
}

// rangedParts shows that ranges of the ten digits are answered with a 206 of several parts.
func rangedParts(what, value string, parts ...Part) Case {
	return Case{Name: "a 206 in parts answers " + what, Seeks: true, Steps: []Step{
		stored(),
		{Header: Lines{"Range: " + value}, Sees: Sees{Status: 206, Header: Lines{"-Content-Range"}, Parts: parts}},
	}}
}

// unsatisfiable shows that a range of the ten digits is answered with a 416.
func unsatisfiable(what, value string) Case {
	return Case{Name: "a 416 answers " + what, Steps: []Step{
		stored(),
		get("Range: "+value).sees(416, "Content-Range: bytes */10"),
		get().reuses(0),
	}}
}

// notRanged shows that a Range is ignored.
func notRanged(what, value string) Case {
	return Case{Name: "Range is ignored: " + what, Steps: []Step{
		stored(),
		get("Range: "+value).reuses(0, "-Content-Range"),
	}}
}

// ifRange shows whether an If-Range holds for the stored ten digits.
func ifRange(what, line string, holds bool) Case {
	again := get("Range: bytes=2-4", line).sees(206).seesBody("234")
	name := "If-Range with " + what + " holds"
	if !holds {
		again = get("Range: bytes=2-4", line).reuses(0, "-Content-Range")
		name = "If-Range with " + what + " does not hold"
	}
	return Case{Name: name, Steps: []Step{stored(), again}}
}
