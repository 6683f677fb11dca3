// The stream of views, and what selects it.

let events = null;
let latest = null; // the latest view with plots
let paused = false;

const checked = (name) => document.querySelector(`input[name="${name}"]:checked`).value;

const status = (text, state) => {
	setText($("live"), text);
	$("live").className = "live " + state;
};

const show = (v) => {
	if (v.series) {
		latest = v.series;
		showSeries(v.series);
	}
	showTiles(v);
	showTotals(v);
	showCurve(v.curve);
	showTop(v.recorded);
	showReasons(v.uncached);
	showPurges(v.purges);
	showFills(v.fills, v.at);
	showTail(v);
	lastRecorded = v.recorded;
	setText($("foot"), `Cache ${v.cache}, running since ${new Date(v.since).toLocaleString("en-GB")}. Background failures in this time: ${v.totals.background_failures}; failures of the storage: ${v.totals.storage_errors}.`);
	document.title = percent(v.totals.hit_ratio) + " hits – " + v.cache;
};
let lastRecorded = null;

const connect = () => {
	if (events) events.close();
	if (paused) return;
	const filter = $("filter").elements;
	const query = new URLSearchParams({ cache: cacheName(), window: checked("window") });
	for (const name of ["result", "status", "host", "path"]) if (filter[name].value) query.set(name, filter[name].value);
	events = new EventSource("events?" + query);
	events.onmessage = (event) => {
		status("live", "on");
		show(JSON.parse(event.data));
	};
	events.onerror = () => {
		status(events.readyState === EventSource.CLOSED ? "no connection" : "connecting", "off");
		if (events.readyState === EventSource.CLOSED) setTimeout(again, 5000);
	};
};

// again connects after the server has refused. If it wants a login, it shows that.
const again = async () => {
	if (paused) return;
	try {
		const response = await fetch("stats.json", { method: "HEAD" });
		if (response.status === 401) return location.reload();
	} catch {
		// it does not answer at all
	}
	if (events.readyState === EventSource.CLOSED) connect();
};

$("pause").addEventListener("click", () => {
	paused = !paused;
	$("pause").setAttribute("aria-pressed", String(paused));
	$("pause").textContent = paused ? "Go on" : "Pause";
	if (paused) {
		events.close();
		status("paused", "");
	} else {
		connect();
	}
});
$("window").addEventListener("change", connect);
$("quantile").addEventListener("change", () => {
	quantile = checked("quantile");
	if (latest) showSeries(latest);
});
$("kind").addEventListener("change", () => {
	kind = checked("kind");
	if (lastRecorded) showTop(lastRecorded);
});
if ($("cache")) $("cache").addEventListener("change", () => {
	clearTail();
	connect();
});
$("filter").addEventListener("submit", (event) => {
	event.preventDefault();
	if (!$("filter").reportValidity()) return;
	clearTail();
	connect();
});
$("filter").addEventListener("reset", () => setTimeout(() => {
	clearTail();
	connect();
}));
addEventListener("pagehide", () => events && events.close());
connect();
