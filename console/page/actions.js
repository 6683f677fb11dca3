// Explain and purge. The secret of the page goes with each request, so that other pages cannot send
// one.

const csrf = document.querySelector('meta[name="csrf"]');
const cacheName = () => ($("cache") ? $("cache").value : "");

const post = (path, body) => fetch(path, {
	method: "POST",
	headers: { "Content-Type": "application/json", [csrf.dataset.field]: csrf.content },
	body: JSON.stringify(body),
});

const say = (message, wrong) => {
	const box = $("answer");
	box.classList.toggle("wrong", Boolean(wrong));
	box.textContent = message;
};

// act sends what the form has.
const act = async (what) => {
	const form = $("ask");
	const body = { cache: cacheName(), url: form.elements.url.value, fields: form.elements.fields.value, group: form.elements.group.value };
	const purge = { purge: { kind: "url" }, soft: { kind: "url", soft: true }, group: { kind: "group" }, all: { kind: "all" } }[what];
	if (what !== "all" && !body.url) {
		say("Write a URL first, or press Ask beside one.", true);
		form.elements.url.focus();
		return;
	}
	if (what === "all" && !(await sure())) return;
	$("explanation").hidden = true;
	say("…");
	try {
		const response = await post(purge ? "purge" : "explain", Object.assign(body, purge));
		const type = response.headers.get("Content-Type") || "";
		if (!type.includes("json")) return say(await response.text(), true);
		const answer = await response.json();
		say(answer.message, !answer.ok);
		if (answer.text) {
			$("explanation").textContent = answer.text;
			$("explanation").hidden = false;
		}
	} catch {
		say("The server did not answer.", true);
	}
};

// sure asks before everything is purged.
const sure = () => new Promise((resolve) => {
	const dialog = $("sure");
	dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
	dialog.returnValue = "no";
	dialog.showModal();
});

// askAbout puts a URL into the form and asks. A proxy's cache stores under the URL of its server,
// together with the Host of the client.
const askAbout = (one) => {
	const form = $("ask");
	form.elements.url.value = one.url;
	form.elements.fields.value = "";
	if (one.server && URL.canParse(one.url)) {
		const url = new URL(one.url);
		form.elements.fields.value = "Host: " + url.host;
		form.elements.url.value = url.protocol + "//" + one.server + one.url.slice(one.url.indexOf("/", url.protocol.length + 2));
	}
	form.elements.url.scrollIntoView({ block: "center" });
	form.elements.url.focus();
	act("explain");
};

$("ask").addEventListener("submit", (event) => {
	event.preventDefault();
	act("explain");
});
for (const button of $("ask").querySelectorAll("[data-do]")) button.addEventListener("click", () => act(button.dataset.do));
if ($("logout")) $("logout").addEventListener("click", async () => {
	await post("logout", {});
	location.reload();
});
