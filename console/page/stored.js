// What is stored, a page at a time.

let nextStored = "";

const storedRow = (one) => el("tr", {},
	el("td", {}, urlText(one.url)),
	el("td", {}, one.vary ? `${count(one.count)} variants by ${one.vary}` : `${one.status} ${one.type}`),
	el("td", { class: "n" }, one.vary ? "–" : duration(one.age)),
	el("td", { class: "n" }, one.vary ? "–" : one.fresh >= 0 ? duration(one.fresh) : "stale for " + duration(-one.fresh)),
	el("td", { class: "n" }, one.vary || one.size < 0 ? "–" : bytes(one.size)),
	el("td", { class: "n" }, pick(one)));

const listStored = async (more) => {
	const form = $("stored-form");
	const note = $("stored-note");
	const body = $("stored").tBodies[0];
	note.textContent = "…";
	try {
		const response = await post("stored", {
			cache: cacheName(), host: form.elements.host.value.trim(), path: form.elements.path.value.trim(), cursor: more ? nextStored : "",
		});
		const type = response.headers.get("Content-Type") || "";
		if (!type.includes("json")) {
			note.textContent = await response.text();
			return;
		}
		const page = await response.json();
		if (!more) body.replaceChildren();
		body.append(...(page.entries || []).map(storedRow));
		nextStored = page.next || "";
		$("stored-more").hidden = !nextStored;
		$("stored-table").hidden = !body.rows.length;
		note.textContent = page.message || (body.rows.length
			? `${count(body.rows.length)} shown, in no order.` + (nextStored ? " There may be more." : " That is all.")
			: nextStored ? "None on this page; there may be more." : "Nothing like that is stored.");
	} catch {
		note.textContent = "The server did not answer.";
	}
};

$("stored-form").addEventListener("submit", (event) => {
	event.preventDefault();
	listStored(false);
});
$("stored-more").addEventListener("click", () => listStored(true));
