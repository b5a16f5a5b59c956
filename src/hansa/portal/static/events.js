// New events on top of the list, as the stream has them. Without it the list is a page that can be loaded again.
const state = document.getElementById("live");
const rows = document.getElementById("events");
const ROWS_MAX = 200;
const PAUSES_MS = [1000, 3000, 10000, 30000];
const language = document.documentElement.lang;
const locale = navigator.languages.find((one) => one.startsWith(language)) ?? language;
const address = new URL(state.dataset.stream, location.href);

function cell(name, text, lang) {
  const made = document.createElement(name);
  made.textContent = text;
  if (lang) made.lang = lang;
  return made;
}

function show({ position, time, event }) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  const link = cell("a", Number(position).toLocaleString(locale));
  link.href = `/operator/events/${Number(position)}`;
  head.append(link);
  const issuer = cell("td", "");
  const option = [...document.querySelectorAll("select[name=issuer] option")].find((one) => one.value === event.issuer);
  issuer.append(cell("bdi", option ? option.textContent : event.issuer));
  const entity = cell("td", "");
  entity.append(cell("code", `${event.entity.key.slice(0, 16)}…`), ` ${event.entity.version}`);
  row.append(head, cell("td", event.type, "en"), issuer, entity, cell("td", new Date(time).toLocaleString(locale, { dateStyle: "medium", timeStyle: "medium", timeZone: "UTC" })));
  rows.prepend(row);
  while (rows.children.length > ROWS_MAX) rows.lastElementChild.remove();
}

function take(block) {
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("id: ")) address.searchParams.set("after", line.slice(4));
    if (line.startsWith("data: ")) data.push(line.slice(6));
  }
  if (data.length) show(JSON.parse(data.join("\n")));
}

async function follow() {
  const response = await fetch(address, { headers: { Accept: "text/event-stream" } });
  if (!response.ok) throw new Error(String(response.status));
  state.textContent = state.dataset.live;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    blocks.forEach(take);
  }
}

let failures = 0;
while (failures < PAUSES_MS.length) {
  const pauseMs = PAUSES_MS[failures];
  try {
    await follow();
    failures = 0;
  } catch {
    failures += 1; // The marketplace does not answer, or too many streams are open: the list stays as it is.
  }
  await new Promise((resolve) => setTimeout(resolve, pauseMs));
}
state.textContent = state.dataset.stopped;
