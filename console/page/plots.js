// What the plots and the tiles show of a view.

const plots = {
	requests: new Plot($("p-requests"), { title: "Requests a second, by result", kind: "area", height: 230, tall: 330, format: rate }),
	ratio: new Plot($("p-ratio"), { title: "Hit ratio by requests and by bytes", max: 1, format: (n) => (known(n) ? Math.round(n * 100) + "\u00a0%" : "–") }),
	latency: new Plot($("p-latency"), { title: "Time to the first byte, by result", log: true, format: duration }),
	evicted: new Plot($("p-evicted"), { title: "Responses that left a second", kind: "area", height: 110, format: rate }),
	age: new Plot($("p-age"), { title: "Age of what left", height: 110, format: (n) => duration(n * 1000) }),
	fills: new Plot($("p-fills"), { title: "Fetches under way and their readers", height: 110, format: count, least: 4, whole: true }),
	waits: new Plot($("p-waits"), { title: "Waits for another request's fetch, a second", kind: "area", height: 110, format: rate }),
};
const stores = []; // a plot for each store
const dashes = Object.fromEntries(resultNames.map((name, i) => [name, i]));
let quantile = "p50";

const showSeries = (s) => {
	const t = s.times;
	const order = resultNames.filter((name) => s.requests[name]);
	plots.requests.update(t, order.map((name) => ({ name, color: name, values: s.requests[name] })));
	plots.ratio.update(t, [
		{ name: "requests", color: "a", values: s.hit_ratio },
		{ name: "bytes", color: "b", dash: 1, values: s.byte_ratio },
	]);
	const times = s.first_byte[quantile] || {};
	plots.latency.update(t, resultNames.filter((name) => times[name] && name !== "unanswered" && times[name].some(known))
		.map((name) => ({ name, color: name, dash: dashes[name], values: times[name] })));
	plots.evicted.update(t, [{ name: "evicted a second", color: "e", values: s.evicted }]);
	plots.age.update(t, [{ name: "median age of what left", color: "c", values: s.age }]);
	plots.fills.update(t, [
		{ name: "fetches", color: "b", values: s.in_flight },
		{ name: "readers", color: "d", dash: 1, values: s.readers },
	]);
	plots.waits.update(t, [{ name: "waits a second", color: "d", values: s.waits }]);
	showStores(s);
};

const showStores = (s) => {
	s.stores.forEach((store, i) => {
		if (!stores[i]) stores[i] = new Plot($("p-memory"), { title: "Bytes in " + store.name + ", by part", kind: "area", format: bytes, binary: true });
		stores[i].update(s.times, [
			{ name: "responses", color: "a", values: store.entries },
			{ name: "index", color: "b", values: store.index },
			{ name: "being stored", color: "c", values: store.in_flight },
			{ name: "left, but still read", color: "d", values: store.open },
		], store.limit);
	});
};

const lastKnown = (list) => {
	for (let i = list.length - 1; i >= 0; i--) if (known(list[i])) return list[i];
	return NaN;
};

const showTiles = (v) => {
	const t = v.totals;
	const result = (name) => t.results.find((one) => one.name === name) || {};
	const seconds = Math.max(t.seconds, 1);
	setText($("t-ratio"), percent(t.hit_ratio));
	setText($("t-ratio-note"), "of requests, in " + duration(Math.round(t.seconds) * 1000));
	setText($("t-bytes"), percent(t.byte_ratio));
	setText($("t-bytes-note"), bytes(t.bytes / seconds) + "/s in all");
	setText($("t-rate"), rate(t.requests / seconds) + "/s");
	setText($("t-rate-note"), plural(t.requests, "request"));
	setText($("t-origin"), rate(t.origin / seconds) + "/s");
	setText($("t-origin-note"), t.requests ? percent(t.origin / t.requests) + " of requests" : "");
	setText($("t-hit"), duration(result("hit").p50));
	setText($("t-hit-note"), known(result("miss").p50) ? "a miss in " + duration(result("miss").p50) : "median");
	const store = v.series && v.series.stores[0];
	if (store) {
		const used = ["entries", "index", "in_flight", "open"].reduce((sum, part) => sum + lastKnown(store[part]), 0);
		setText($("t-memory"), bytes(used));
		setText($("t-memory-note"), (store.limit > 0 ? percent(used / store.limit) + " of " + bytes(store.limit) + ", " : "") + plural(store.count, "entry", "entries"));
	}
};

const showTotals = (v) => {
	const t = v.totals;
	$("results").tBodies[0].replaceChildren(...t.results.map((r) => el("tr", {},
		el("td", { class: "name" }, el("span", { class: "dot c-" + r.name, "aria-hidden": "true" }), r.name, el("small", {}, meanings[r.name] || "")),
		el("td", { class: "n" }, count(r.requests)),
		el("td", { class: "n" }, percent(r.requests / t.requests)),
		el("td", { class: "n" }, bytes(r.bytes)),
		el("td", { class: "n" }, duration(r.p50)),
		el("td", { class: "n" }, duration(r.p99)))));
	setText($("evicted-note"), !t.evicted
		? "Nothing had to leave in this time."
		: `${plural(t.evicted, "response")} left after a median of ${duration(t.age_median * 1000)}; ${percent(t.unused / t.evicted)} of them were never read again. A short age means too little memory.`);
	setText($("fills-note"), `${plural(t.fills, "response")} stored, ${plural(t.lock_waits, "request")} waited for another's fetch` +
		(t.lock_waits ? ` (median ${duration(t.lock_median)}, p99 ${duration(t.lock_p99)})` : "") +
		`. Now: ${v.now.in_flight} of at most ${v.now.max_fills} fetches, ${plural(v.now.readers, "reader")}.`);
	setText($("memory-note"), "What the stored responses take, by part, and the limit." + (v.now.policy ? " Policy: " + v.now.policy + "." : ""));
};

// showCurve draws the hit ratio against the memory. Its horizontal axis has a step for each doubling.
const showCurve = (c) => {
	if (!c || !c.points || c.points.length < 2) return;
	setText($("curve-note"), c.sentence || "The hit ratio at other limits, estimated from a sample of the requests.");
	const box = $("p-curve");
	const width = box.clientWidth || 300, height = 200;
	const left = 44, right = width - 14, top = 8, bottom = height - 34;
	const sizes = c.points.map((p) => p.size);
	const x = (size) => left + ((right - left) * Math.log(size / sizes[0])) / Math.log(sizes[sizes.length - 1] / sizes[0]);
	const y = (ratio) => bottom - (bottom - top) * ratio;
	const parts = [];
	for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
		parts.push(svg("line", { class: "grid", x1: left, x2: right, y1: y(tick), y2: y(tick) }));
		parts.push(svg("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, Math.round(tick * 100) + "\u00a0%"));
	}
	sizes.forEach((size, i) => {
		if (i % 2 === 1 || width > 420) parts.push(svg("text", { x: x(size), y: bottom + 15, "text-anchor": "middle" }, bytes(size)));
	});
	const path = (field) => "M" + c.points.filter((p) => known(p[field])).map((p) => `${x(p.size).toFixed(1)},${y(p[field]).toFixed(1)}`).join("L");
	const today = c.points.reduce((best, p) => (Math.abs(p.size - c.limit) < Math.abs(best.size - c.limit) ? p : best));
	parts.push(svg("line", { class: "limit", x1: x(today.size), x2: x(today.size), y1: top, y2: bottom }));
	parts.push(svg("text", { x: x(today.size), y: bottom + 29, "text-anchor": "middle" }, "today"));
	parts.push(svg("path", { class: "line c-b d1", d: path("byte_ratio") }), svg("path", { class: "line c-a", d: path("hit_ratio") }));
	parts.push(svg("circle", { class: "mark", cx: x(today.size), cy: y(today.hit_ratio), r: 4.5 }));
	const plot = svg("svg", { class: "plot", role: "img", "aria-label": "Hit ratio against memory. " + c.sentence, height, viewBox: `0 0 ${width} ${height}` }, ...parts);
	const legend = el("ul", { class: "legend" },
		el("li", {}, swatch({ color: "a" }, "line"), "requests", el("b", {}, percent(today.hit_ratio))),
		el("li", {}, swatch({ color: "b", dash: 1 }, "line"), "bytes", el("b", {}, percent(today.byte_ratio))));
	const open = box.querySelector("details")?.open;
	const table = el("details", { class: "as-table" }, el("summary", {}, "As a table"), el("table", {},
		el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Memory"), el("th", { scope: "col", class: "n" }, "Requests"), el("th", { scope: "col", class: "n" }, "Bytes"))),
		el("tbody", {}, ...c.points.map((p) => el("tr", {}, el("th", { scope: "row" }, bytes(p.size) + (p === today ? " (today)" : "")),
			el("td", { class: "n" }, percent(p.hit_ratio)), el("td", { class: "n" }, percent(p.byte_ratio)))))));
	table.open = Boolean(open);
	if (!busy(box)) box.replaceChildren(plot, legend, table);
};
