// One plot over time, as SVG. Each series has a name, a class for its colour, and a dash, so that
// colour is not all that tells them apart; the legend shows the values at the cursor, and a table has
// all of them. The cursor follows the pointer, and the arrow keys when the plot has the focus.

class Plot {
	// options: title; height, and tall for wide plots; format; kind: "area" (stacked) or "line"; max: a
	// fixed top; least: the lowest top; log: a logarithmic scale; binary: steps of KiB and so on; whole:
	// no fractions.
	constructor(parent, options) {
		this.options = Object.assign({ height: 150, format: count, kind: "line" }, options);
		this.root = svg("svg", { class: "plot", role: "img", tabindex: "0", "aria-label": options.title });
		this.legend = el("ul", { class: "legend" });
		this.spoken = el("p", { class: "out", "aria-live": "polite" });
		this.table = el("details", { class: "as-table", ontoggle: () => this.fillTable() }, el("summary", {}, "As a table"));
		parent.append(el("div", { class: "plot-box" }, this.root, this.legend, this.spoken, this.table));
		this.cursor = null;
		this.root.addEventListener("pointermove", (event) => this.point(event));
		this.root.addEventListener("pointerleave", () => this.moveTo(null));
		this.root.addEventListener("keydown", (event) => this.key(event));
		this.root.addEventListener("blur", () => this.moveTo(null));
		new ResizeObserver(() => this.draw()).observe(this.root);
	}

	// update shows times and series: lists of {key, name, color, dash, values}. limit is a line across.
	update(times, series, limit) {
		Object.assign(this, { times, series, limit });
		this.draw();
		if (this.table.open && !busy(this.table)) this.fillTable();
	}

	draw() {
		const width = Math.round(this.root.clientWidth);
		if (!this.times || !width) return;
		const { kind } = this.options;
		const height = this.options.tall && width > 560 ? this.options.tall : this.options.height;
		this.box = { left: 44, right: width - 6, top: 8, bottom: height - 20 };
		this.root.setAttribute("height", height);
		this.root.setAttribute("viewBox", `0 0 ${width} ${height}`);
		this.stack = kind === "area" ? this.stacked() : null;
		this.scale();
		const parts = [...this.axes(), ...(kind === "area" ? this.areas() : this.lines())];
		if (known(this.limit) && this.limit > 0 && this.limit <= this.top) {
			const y = this.y(this.limit);
			parts.push(svg("line", { class: "limit", x1: this.box.left, x2: this.box.right, y1: y, y2: y }));
		}
		this.line = svg("line", { class: "cursor", y1: this.box.top, y2: this.box.bottom, visibility: "hidden" });
		this.root.replaceChildren(...parts, this.line);
		this.showCursor();
	}

	stacked() {
		const sums = this.times.map(() => 0);
		return this.series.map((one) => one.values.map((value, i) => {
			const from = sums[i];
			sums[i] += known(value) ? value : 0;
			return [from, sums[i]];
		}));
	}

	scale() {
		const all = this.stack ? this.stack.flat().map((pair) => pair[1]) : this.series.flatMap((one) => one.values).filter(known);
		const positive = all.filter((value) => value > 0);
		const highest = Math.max(0, ...all);
		if (this.options.log) {
			this.bottom = 10 ** Math.floor(Math.log10(Math.min(...positive, 1)));
			this.top = 10 ** Math.ceil(Math.log10(Math.max(...positive, this.bottom * 100)));
			this.ticks = [];
			const decades = Math.round(Math.log10(this.top / this.bottom));
			for (let i = 0; i <= decades; i += Math.max(1, Math.ceil(decades / 4))) this.ticks.push(this.bottom * 10 ** i);
			return;
		}
		this.bottom = 0;
		if (this.options.max) {
			this.top = this.options.max;
		} else {
			const limit = known(this.limit) && highest > this.limit * 0.25 ? this.limit * 1.06 : 0;
			this.top = Math.max(highest * 1.12, limit, this.options.least || 1);
		}
		this.ticks = this.niceTicks();
	}

	niceTicks() {
		const base = this.options.binary && this.top >= 1024 ? 1024 ** Math.floor(Math.log(this.top) / Math.log(1024)) : 1;
		const about = this.top / base / 3.6;
		const power = 10 ** Math.floor(Math.log10(about));
		let step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= about) * base;
		if (this.options.whole) step = Math.max(1, Math.ceil(step));
		const ticks = [];
		for (let i = 0; i * step <= this.top * 1.0001; i++) ticks.push(i * step);
		return ticks;
	}

	x(i) {
		const n = Math.max(this.times.length - 1, 1);
		return this.box.left + ((this.box.right - this.box.left) * i) / n;
	}

	y(value) {
		const share = this.options.log
			? Math.log(Math.max(value, this.bottom) / this.bottom) / Math.log(this.top / this.bottom)
			: (value - this.bottom) / (this.top - this.bottom);
		return this.box.bottom - (this.box.bottom - this.box.top) * Math.min(Math.max(share, 0), 1);
	}

	axes() {
		const { left, right, bottom } = this.box;
		const parts = [];
		for (const tick of this.ticks) {
			const y = Math.round(this.y(tick)) + 0.5;
			parts.push(svg("line", { class: "grid", x1: left, x2: right, y1: y, y2: y }));
			parts.push(svg("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, this.options.format(tick)));
		}
		const n = this.times.length - 1;
		for (const [i, anchor] of [[0, "start"], [Math.round(n / 2), "middle"], [n, "end"]]) {
			const ago = (this.times[n] - this.times[i] + (i ? 0 : this.times[1] - this.times[0])) / 1000;
			const label = i === n ? "now" : ago > 100 ? Math.round(ago / 30) / 2 + " min ago" : Math.round(ago) + " s ago";
			parts.push(svg("text", { x: this.x(i), y: bottom + 15, "text-anchor": anchor }, label));
		}
		return parts;
	}

	areas() {
		const shown = [...this.times.keys()].filter((i) => this.series.some((one) => known(one.values[i])));
		if (!shown.length) return [];
		return this.series.map((one, k) => {
			const pairs = this.stack[k];
			const upper = shown.map((i) => `${this.x(i).toFixed(1)},${this.y(pairs[i][1]).toFixed(1)}`);
			const lower = shown.map((i) => `${this.x(i).toFixed(1)},${this.y(pairs[i][0]).toFixed(1)}`).reverse();
			return svg("path", { class: `area c-${one.color}`, d: `M${upper.join("L")}L${lower.join("L")}Z` });
		});
	}

	lines() {
		const parts = [];
		for (const one of this.series) {
			let d = "";
			let open = false;
			one.values.forEach((value, i) => {
				const lone = known(value) && !known(one.values[i - 1]) && !known(one.values[i + 1]);
				if (lone) parts.push(svg("circle", { class: `pt c-${one.color}`, cx: this.x(i), cy: this.y(value), r: 2.5 }));
				else if (known(value)) d += `${open ? "L" : "M"}${this.x(i).toFixed(1)},${this.y(value).toFixed(1)}`;
				open = known(value);
			});
			parts.push(svg("path", { class: `line c-${one.color} d${one.dash || 0}`, d }));
		}
		return parts;
	}

	point(event) {
		if (!this.box) return;
		const x = event.clientX - this.root.getBoundingClientRect().left;
		const i = Math.round(((x - this.box.left) / (this.box.right - this.box.left)) * (this.times.length - 1));
		this.moveTo(Math.min(Math.max(i, 0), this.times.length - 1));
	}

	key(event) {
		const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 }[event.key];
		if (!step || !this.times) return;
		event.preventDefault();
		const last = this.times.length - 1;
		this.moveTo(Math.min(Math.max((this.cursor === null ? last : this.cursor) + step, 0), last));
		this.spoken.textContent = clock(this.times[this.cursor]) + ": " +
			this.series.map((one) => one.name + " " + this.options.format(one.values[this.cursor])).join(", ");
	}

	moveTo(i) {
		this.cursor = i;
		if (this.times) this.showCursor();
	}

	// last returns the latest step that is known.
	last() {
		for (let i = this.times.length - 1; i > 0; i--) {
			if (this.series.some((one) => known(one.values[i]))) return i;
		}
		return this.times.length - 1;
	}

	showCursor() {
		const at = this.cursor === null ? this.last() : Math.min(this.cursor, this.times.length - 1);
		if (this.line) {
			this.line.setAttribute("visibility", this.cursor === null ? "hidden" : "visible");
			for (const name of ["x1", "x2"]) this.line.setAttribute(name, this.x(at));
		}
		const items = this.series.map((one) => el("li", {}, swatch(one, this.options.kind), one.name,
			el("b", {}, this.options.format(one.values[at]))));
		if (known(this.limit) && this.limit > 0) items.push(el("li", {}, limitSwatch(), "limit", el("b", {}, this.options.format(this.limit))));
		if (this.cursor !== null) items.push(el("li", { class: "when" }, "at " + clock(this.times[at])));
		this.legend.replaceChildren(...items);
	}

	fillTable() {
		if (!this.table.open || !this.times) return;
		const step = Math.max(1, Math.ceil(this.times.length / 20));
		const rows = [];
		for (let i = this.times.length - 1; i >= 0; i -= step) {
			rows.push(el("tr", {}, el("th", { scope: "row" }, clock(this.times[i])),
				...this.series.map((one) => el("td", { class: "n" }, this.options.format(one.values[i])))));
		}
		const head = el("tr", {}, el("th", { scope: "col" }, "Time"), ...this.series.map((one) => el("th", { scope: "col", class: "n" }, one.name)));
		const table = el("table", {}, el("caption", { class: "out" }, this.options.title), el("thead", {}, head), el("tbody", {}, ...rows));
		const scroll = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": this.options.title + ", as a table" }, table);
		this.table.replaceChildren(this.table.firstChild, scroll);
	}
}

// swatch shows how a series is drawn: an area's colour, or a line with its dash.
const swatch = (one, kind) => kind === "area"
	? svg("svg", { class: "key", width: 11, height: 11, "aria-hidden": "true" }, svg("rect", { class: `area c-${one.color}`, width: 11, height: 11, rx: 3 }))
	: svg("svg", { class: "key", width: 24, height: 8, "aria-hidden": "true" }, svg("line", { class: `line c-${one.color} d${one.dash || 0}`, x1: 1, x2: 23, y1: 4, y2: 4 }));

const limitSwatch = () => svg("svg", { class: "key", width: 22, height: 8, "aria-hidden": "true" }, svg("line", { class: "limit", x1: 0, x2: 22, y1: 4, y2: 4 }));
