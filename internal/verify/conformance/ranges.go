package conformance

import "strings"

// rangeRules: ranges of complete stored responses (RFC 9110 §13.1.5, §14 and §15.3.7).
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
		Rule: "Answer several ranges in parts, in the order of the request, those that touch as one.",
		Cases: []Case{
			rangedParts("two ranges", "bytes=0-1,5-6", Part{"bytes 0-1/10", "01", "text/plain"}, Part{"bytes 5-6/10", "56", "text/plain"}),
			rangedParts("two ranges in another order", "bytes=5-6, 0-1", Part{"bytes 5-6/10", "56", "text/plain"}, Part{"bytes 0-1/10", "01", "text/plain"}),
			rangedParts("a range and a suffix", "bytes=0-0,-1", Part{"bytes 0-0/10", "0", "text/plain"}, Part{"bytes 9-9/10", "9", "text/plain"}),
			rangedParts("three ranges of which one is beyond the end", "bytes=0-0,20-30,4-5", Part{"bytes 0-0/10", "0", "text/plain"}, Part{"bytes 4-5/10", "45", "text/plain"}),
			ranged("ranges that overlap", "bytes=2-5,4-7", "234567", "bytes 2-7/10"),
			ranged("ranges that adjoin", "bytes=2-3,4-5", "2345", "bytes 2-5/10"),
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
		Rule: "Answer 416 with the current length where no range is satisfiable.",
		Cases: []Case{
			unsatisfiable("a range beyond the end", "bytes=10-"),
			unsatisfiable("a range that starts at thirty digits", "bytes=999999999999999999999999999999-"),
			unsatisfiable("an empty suffix", "bytes=-0"),
			unsatisfiable("several ranges beyond the end", "bytes=10-11,20-21"),
		},
	},
	{
		Section: "RFC 9110 §14.2", Level: May,
		Rule: "Ignore a Range that is invalid, in another unit, excessive, or for content of no length.",
		Cases: []Case{
			notRanged("another unit", "lines=1-2"),
			notRanged("no unit", "1-2"),
			notRanged("an end before the start", "bytes=4-2"),
			notRanged("no number", "bytes=a-b"),
			notRanged("a negative number", "bytes=-1-2"),
			notRanged("a sign", "bytes=+1-2"),
			notRanged("no set", "bytes="),
			notRanged("a set of empty members", "bytes= , ,"),
			notRanged("one invalid range among valid ones", "bytes=1-2,x"),
			notRanged("more than sixteen ranges", "bytes=0-0,"+strings.Repeat("2-2,", 16)+"4-4"),
			{Name: "a range of no content is ignored", Steps: []Step{
				{Answer: &Answer{Header: Lines{"Cache-Control: max-age=3600", "Content-Length: 0"}, Empty: true}},
				get("Range: bytes=0-").sees(200, "Content-Length: 0").seesNothing(),
			}},
		},
	},
	{
		Section: "RFC 9110 §14.2", Level: Must,
		Rule: "Ignore Range for methods other than GET, and evaluate it after the preconditions and only where the answer would be a 200.",
		Cases: []Case{
			{Name: "a 304 goes before a range", Steps: []Step{
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
		KeptBy: []string{"Range means nothing in HEAD"},
	},
	{
		Section: "RFC 9110 §14.2", Level: May,
		Rule:   "A proxy may discard a Range in a unit that it does not understand.",
		KeptBy: []string{"another unit is ignored"},
	},
	{
		Section: "RFC 9110 §13.1.5", Level: Must,
		Rule: "Ignore Range where If-Range does not hold; it holds for exactly the strong validator of the response.",
		Cases: []Case{
			ifRange("the entity tag", `If-Range: "a"`, true),
			ifRange("another entity tag", `If-Range: "b"`, false),
			ifRange("the entity tag marked weak", `If-Range: W/"a"`, false),
			ifRange("the date", "If-Range: {now-1000}", true),
			ifRange("a later date", "If-Range: {now-500}", false),
			ifRange("an earlier date", "If-Range: {now-1500}", false),
			ifRange("what is no validator", "If-Range: a", false),
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
		Rule: "A 206 carries Date, Cache-Control, ETag, Expires, Content-Location and Vary, and without If-Range all the fields of the 200.",
		Cases: []Case{
			{Name: "a 206 carries what the 200 would", Steps: []Step{
				get("X-A: 1").answered(200, "Cache-Control: max-age=3600, x", "Expires: {now+60}", "Date: {now-5}", `ETag: "a"`, "Vary: X-A", "Content-Location: /x", "Content-Type: text/x", "X-Test: 1").with("0123456789"),
				get("X-A: 1", "Range: bytes=2-4").sees(206, "Cache-Control: max-age=3600, x", "Expires: {now+60}", "Date: {now-5}", `ETag: "a"`, "Vary: X-A", "Content-Location: /x", "Content-Type: text/x", "X-Test: 1", "Content-Length: 3").seesBody("234"),
				get("X-A: 1", "Range: bytes=2-4", `If-Range: "a"`).sees(206, "Cache-Control: max-age=3600, x", "Expires: {now+60}", "Date: {now-5}", `ETag: "a"`, "Vary: X-A", "Content-Location: /x").seesBody("234"),
			}},
		},
	},
	{
		Section: "RFC 9110 §15.3.7", Level: ShouldNot,
		Rule:    "A 206 to a request with If-Range repeats no other representation fields.",
		NotKept: "the fields that a client may miss cost more than the bytes that leaving them out saves",
	},
	{
		Section: "RFC 9110 §15.3.7.1, §14.4", Level: Must,
		Rule:   "A 206 of one part has a Content-Range, with the complete length, and exactly that content.",
		KeptBy: []string{"bytes in the middle is a 206", "an open end is a 206"},
	},
	{
		Section: "RFC 9110 §15.3.7.2", Level: Must,
		Rule:   "A 206 of several parts is multipart/byteranges, with a Content-Range in each part and none in the header section.",
		KeptBy: []string{"two ranges are parts", "a multipart response has no Content-Range and parts with the content's type"},
	},
	{
		Section: "RFC 9110 §15.3.7.2", Level: MustNot,
		Rule:   "Send no multipart response to a request for one range.",
		KeptBy: []string{"bytes in the middle is a 206"},
	},
	{
		Section: "RFC 9110 §15.5.17, §14.4", Level: Should,
		Rule:   "A 416 says how long the representation is.",
		KeptBy: []string{"a range beyond the end is a 416"},
	},
	{
		Section: "RFC 9110 §8.8.2.2", Level: Must,
		Rule:   "Take Last-Modified for a strong validator only where Date is at least a second later.",
		KeptBy: []string{"If-Range with the date holds", "If-Range with a date as young as the response does not hold"},
	},
	{
		Section: "RFC 9110 §14.1.2", Level: Must,
		Rule:   "Let no great number overflow.",
		KeptBy: []string{"an end of thirty digits is a 206", "a suffix of thirty digits is a 206", "a range that starts at thirty digits is a 416"},
	},
	{
		Section: "RFC 9110 §14.3", Level: May,
		Rule: "Accept-Ranges is the origin's to send.",
		Cases: []Case{
			storesField("Accept-Ranges is stored", "Accept-Ranges: bytes"),
		},
	},
	{
		Section: "RFC 9110 §14.4, §14.5", Level: Must,
		Rule: "Ignore Content-Range where it has no meaning.",
		Cases: []Case{
			{Name: "Content-Range in a 200 does not make it partial", Steps: []Step{
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

// stored are the steps that store the ten digits.
func stored(header ...string) Step {
	return get().answered(200, append([]string{"Cache-Control: max-age=3600", `ETag: "a"`, "Last-Modified: {now-1000}"}, header...)...).with(digits)
}

func ranged(what, value, body, contentRange string) Case {
	return Case{Name: what + " is a 206", Steps: []Step{
		stored(),
		get("Range: "+value).sees(206, "Content-Range: "+contentRange).seesBody(body),
	}}
}

func rangedParts(what, value string, parts ...Part) Case {
	return Case{Name: what + " are parts", Seeks: true, Steps: []Step{
		stored(),
		{Header: Lines{"Range: " + value}, Sees: Sees{Status: 206, Header: Lines{"-Content-Range"}, Parts: parts}},
	}}
}

func unsatisfiable(what, value string) Case {
	return Case{Name: what + " is a 416", Steps: []Step{
		stored(),
		get("Range: "+value).sees(416, "Content-Range: bytes */10"),
		get().reuses(0),
	}}
}

func notRanged(what, value string) Case {
	return Case{Name: what + " is ignored", Steps: []Step{
		stored(),
		get("Range: "+value).reuses(0, "-Content-Range"),
	}}
}

func ifRange(what, line string, holds bool) Case {
	again := get("Range: bytes=2-4", line).sees(206).seesBody("234")
	name := "If-Range with " + what + " holds"
	if !holds {
		again = get("Range: bytes=2-4", line).reuses(0, "-Content-Range")
		name = "If-Range with " + what + " does not hold"
	}
	return Case{Name: name, Steps: []Step{stored(), again}}
}
