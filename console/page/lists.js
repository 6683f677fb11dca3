// The lists of a view: URLs, reasons, purges, fetches under way, and the tail of requests.

let kind = "hits";
const units = { hits: ["Hits", count], misses: ["Misses", count], bytes: ["Bytes", bytes], origin: ["Origin time", (n) => duration(n / 1000)] };

// pick is a button that puts a URL into the form. A text that is not the whole URL cannot be used.
const pick = (one) => (one.whole
	? el("button", { type: "button", class: "mini", "aria-label": "Ask about " + one.url, onclick: () => askAbout(one) }, "Ask")
	: el("span", { class: "note", title: "This URL is too long, or has characters that are not shown as they are" }, "cut"));

const showTop = (recorded) => {
	const [unit, format] = units[kind];
	setText($("top-unit"), unit);
	setText($("top-note"), !recorded.since
		? "The lists begin when somebody looks: wait a moment."
		: `Since ${clock(recorded.top_from)}, as this list begins when somebody looks.` +
			(recorded.every > 1 ? ` One of ${count(recorded.every)} requests is counted, ${count(recorded.every)} times.` : ""));
	const body = $("top").tBodies[0];
	if (busy(body)) return;
	const list = (recorded.top[kind] || []).slice(0, 15);
	const most = list.length ? list[0].count : 1;
	body.replaceChildren(...list.map((one) => {
		const bar = el("span", { class: "gauge", "aria-hidden": "true" });
		bar.style.width = Math.max(0.5, (100 * one.count) / most) + "%";
		return el("tr", {}, el("td", {}, urlText(one.url), bar),
			el("td", { class: "n", title: one.error ? "at most " + format(one.error) + " too many" : undefined }, (one.error * 10 > one.count ? "≈ " : "") + format(one.count)),
			el("td", { class: "n" }, pick(one)));
	}));
	if (!list.length) body.append(el("tr", {}, el("td", { colspan: "3", class: "empty" }, "None yet.")));
};

// What the words of Cache-Status mean, for those that are not plain.
const reasonMeanings = {
	"authorization": "the request had credentials, and the response does not say public",
	"closing": "the cache is being closed",
	"content-location": "the answer to a POST is stored only if it says for which URL",
	"content-range": "its Content-Range is not valid",
	"cpdos-request": "an error that unusual request fields may have caused",
	"header-invalid": "its header is not valid",
	"header-too-large": "its header is larger than what is stored",
	"lock-give-up": "another request's answer proved not storable, so this one did not wait",
	"lock-timeout": "it waited too long for another request's fetch",
	"method": "only answers to GET are stored",
	"method-override": "a request field claims another method",
	"multipart": "several parts in one answer are not stored",
	"must-understand": "its status is not known, and it says must-understand",
	"no-cache": "it says no-cache, and nothing could validate it",
	"no-freshness": "it has neither a lifetime nor a validator",
	"no-store": "it says no-store",
	"no-validator": "a part without a strong validator",
	"not-combinable": "a part that does not fit what is stored",
	"precondition": "the request has a condition that only the origin can check",
	"private": "it says private: for one user only",
	"purged": "it was purged while it was fetched",
	"request-changed": "what is behind the cache changed the request",
	"request-content": "the request has content",
	"request-filter": "the configuration keeps such requests out",
	"request-no-store": "the request says no-store",
	"response-filter": "the configuration refuses such responses",
	"server-error": "errors of the server are stored only if configured",
	"set-cookie": "it sets a cookie, and does not say how long it lives",
	"status": "responses with this status are not stored",
	"storage-error": "the storage failed",
	"superseded": "a more recent response was stored meanwhile",
	"target-override": "a request field claims another URL",
	"too-large": "larger than the largest body that is stored",
	"too-many-fills": "too many fetches were under way",
	"too-many-ranges": "the request asks for too many ranges",
	"upgrade": "the request asks for another protocol",
	"vary": "it varies by fields that are not known",
	"vary-star": "Vary: * means that it fits no other request",
};

const showReasons = (list) => {
	const box = $("uncached");
	if (busy(box)) return;
	box.replaceChildren(...list.slice(0, 12).map((one) => el("li", {},
		el("div", { class: "head" }, el("code", {}, one.reason || "(no reason)"), el("b", {}, count(one.count))),
		reasonMeanings[one.reason] ? el("p", { class: "why" }, reasonMeanings[one.reason]) : null,
		...one.examples.map((example) => el("div", {}, urlText(example.url), example.whole ? " " : "", example.whole ? pick(example) : "")))));
	if (!list.length) box.append(el("li", { class: "empty" }, "All that came was stored, in this time."));
};

const showPurges = (list) => {
	const box = $("purges");
	if (busy(box)) return;
	box.replaceChildren(...list.slice(0, 40).map((one) => el("li", {},
		el("time", { datetime: new Date(one.at).toISOString() }, clock(one.at)),
		(one.soft ? "soft purge" : one.kind === "invalidation" ? "invalidated" : one.kind === "all" ? "purged everything" : one.kind === "group" ? "purged group" : "purged") + " ",
		...(one.groups || []).map((group) => el("code", {}, group + " ")),
		one.url ? urlText(one.url) : null, one.result === "done" ? null : " – " + one.result, one.times > 1 ? ` (${count(one.times)} times)` : null)));
	if (!list.length) box.append(el("li", { class: "empty" }, "None since the program began to watch."));
};

const showFills = (list, now) => {
	const body = $("fills").tBodies[0];
	if (busy(body)) return;
	body.replaceChildren(...list.map((one) => {
		const bar = el("span", { class: "gauge", "aria-hidden": "true" });
		bar.style.width = one.length > 0 ? Math.min(100, (100 * one.written) / one.length) + "%" : "0";
		return el("tr", {}, el("td", {}, urlText(one.url), one.background ? " (in the background)" : "", bar), el("td", { class: "n" }, String(one.status)),
			el("td", { class: "n" }, bytes(one.written) + (one.length >= 0 ? " of " + bytes(one.length) : "")),
			el("td", { class: "n" }, count(one.readers)), el("td", { class: "n" }, duration(Math.max(0, now - Date.parse(one.began)))));
	}));
	if (!list.length) body.append(el("tr", {}, el("td", { colspan: "5", class: "empty" }, "None at this moment.")));
};

// The tail. While somebody points at it or has opened a request, new ones wait.
const maxTail = 20;
let waiting = [];

const tailItem = (one) => {
	// The length of the bar is logarithmic, from 10 µs to 10 s; its parts are as long as they took.
	const way = el("span", { class: "way", "aria-hidden": "true" });
	way.style.width = Math.min(100, Math.max(8, (100 * Math.log10(Math.max(one.took, 0.01) / 0.01)) / 6)) + "%";
	for (const step of one.steps) {
		const part = el("i", { class: "k-" + step.name, title: step.name + " " + duration(step.took) });
		part.style.flexGrow = String(step.took / Math.max(one.took, 0.001));
		if (step.took > 0) way.append(part);
	}
	const steps = one.steps.map((step) => el("li", {}, el("i", { class: "k-" + step.name, "aria-hidden": "true" }), step.name, el("span", {}, duration(step.took)), step.note));
	const about = [one.method + (one.background ? " by the cache itself, in the background" : ""), "door: " + one.door, one.phase ? "phase: " + one.phase : "", one.detail ? "detail: " + one.detail : ""].filter(Boolean).join(" · ");
	return el("li", {}, el("details", {},
		el("summary", {},
			el("time", { datetime: new Date(one.at).toISOString() }, clock(one.at)),
			el("span", { class: "c-" + one.result }, el("span", { class: "dot", "aria-hidden": "true" }), one.result),
			el("span", {}, one.status ? String(one.status) : "–"),
			urlText((one.method === "GET" ? "" : one.method + " ") + one.url), way, el("span", { class: "took" }, duration(one.took))),
		el("ol", { class: "steps" }, ...steps, el("li", {}, el("span", { class: "about" }, about + " ", one.whole ? pick(one) : "")))));
};

const showTail = (v) => {
	const box = $("tail");
	waiting = [...waiting, ...v.tail].slice(-maxTail);
	const held = busy(box) || box.querySelector("details[open]");
	const every = v.recorded.every > 1 ? ` One of ${count(v.recorded.every)} requests is sampled.` : "";
	setText($("tail-note"), held && waiting.length
		? `Held while you read: ${waiting.length === maxTail ? maxTail + " or more" : waiting.length} newer ones wait.`
		: "Open a line to see the way of the request." + (v.missed ? " More came than are shown." : "") + every);
	if (held) return;
	box.prepend(...waiting.reverse().map(tailItem));
	waiting = [];
	while (box.children.length > maxTail) box.lastChild.remove();
};

const clearTail = () => {
	waiting = [];
	$("tail").replaceChildren();
};
