// How numbers and elements are made. All text from the server is set as text, never as markup.

const $ = (id) => document.getElementById(id);

// el returns an element. Attributes named "on…" are listeners, and "class" is a class.
const el = (name, attributes, ...children) => {
	const e = document.createElement(name);
	for (const [key, value] of Object.entries(attributes || {})) {
		if (typeof value === "function") e.addEventListener(key.slice(2), value);
		else if (value !== undefined && value !== null && value !== false) e.setAttribute(key, value);
	}
	e.append(...children.filter((child) => child !== null && child !== undefined));
	return e;
};

const svg = (name, attributes, ...children) => {
	const e = document.createElementNS("http://www.w3.org/2000/svg", name);
	for (const [key, value] of Object.entries(attributes || {})) e.setAttribute(key, value);
	e.append(...children);
	return e;
};

const known = (n) => typeof n === "number" && Number.isFinite(n);
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const exact = new Intl.NumberFormat("en");

// count is a number of things, rate one a second.
const count = (n) => (!known(n) ? "–" : n < 10000 ? exact.format(Math.round(n)) : compact.format(n));
const rate = (n) => (!known(n) ? "–" : n < 0.005 ? "0" : n < 0.1 ? n.toFixed(2) : n < 10 ? n.toFixed(1) : count(n));
const percent = (n) => (!known(n) ? "–" : n > 0.9995 && n < 1 ? ">99.9\u00a0%" : (n * 100).toFixed(1) + "\u00a0%");

const bytes = (n) => {
	if (!known(n)) return "–";
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let unit = 0;
	while (Math.abs(n) >= 1000 && unit < units.length - 1) {
		n /= 1024;
		unit++;
	}
	return (unit === 0 || n >= 100 ? Math.round(n) : n.toPrecision(n >= 10 ? 3 : 2)) + "\u00a0" + units[unit];
};

// duration takes milliseconds.
const duration = (t) => {
	if (!known(t)) return "–";
	if (t < 0.001) return "0";
	if (t < 1) return (t * 1000).toPrecision(t < 0.01 ? 1 : t < 0.1 ? 2 : 3) + "\u00a0µs";
	if (t < 1000) return t.toPrecision(t < 10 ? 2 : 3) + "\u00a0ms";
	const s = t / 1000;
	if (s < 60) return (s < 10 ? s.toFixed(1) : Math.round(s)) + "\u00a0s";
	if (s < 3600) return Math.floor(s / 60) + "\u00a0min" + (s < 600 && Math.round(s % 60) ? " " + Math.round(s % 60) + "\u00a0s" : "");
	if (s < 86400) return (s / 3600).toFixed(1) + "\u00a0h";
	return (s / 86400).toFixed(1) + "\u00a0days";
};

const clock = (t) => new Date(t).toLocaleTimeString("en-GB");
const plural = (n, one, many) => count(n) + " " + (n === 1 ? one : many || one + "s");

// setText changes an element only if its text differs, so that screen readers and selections are
// left alone.
const setText = (element, text) => {
	if (element.textContent !== text) element.textContent = text;
};

// busy reports whether somebody points at an element, or has the focus in it: then it must not move.
const hovers = matchMedia("(hover: hover)");
const busy = (element) => element.contains(document.activeElement) || (hovers.matches && element.matches(":hover"));

// urlText shows a URL: the host less prominent than the path.
const urlText = (url) => {
	const at = url.indexOf("://");
	const slash = at < 0 ? -1 : url.indexOf("/", at + 3);
	return slash < 0
		? el("span", { class: "url", title: url }, url)
		: el("span", { class: "url", title: url }, el("span", { class: "host" }, url.slice(0, slash)), url.slice(slash));
};

const meanings = {
	hit: "from the cache, fresh",
	stale: "from the cache, past its lifetime, as allowed",
	revalidated: "from the cache, confirmed by the origin (304)",
	collapsed: "shared the fetch of another request",
	miss: "from the origin, and stored",
	pass: "from the origin, not stored",
	bypass: "not for a cache: POST and the like",
	unanswered: "the origin failed, or the client left",
};
const resultNames = Object.keys(meanings);
