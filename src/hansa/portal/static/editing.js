// Saves a draft while somebody types, and shows beside the form how customers will see it. Without it, buttons do.
const form = document.querySelector("form[data-autosave]");
const live = document.getElementById("live");
const status = document.getElementById("status");
const PAUSE_MS = 1200;
const AGAIN_MS = 15000;
let timer = 0;
let busy = false;
let changed = false;
let sending = false;
let waiting = null;

function say(text) {
  if (status.textContent !== text) status.textContent = text;
}

async function save() {
  clearTimeout(timer);
  if (busy || sending) return;
  busy = true;
  changed = false;
  const body = new URLSearchParams(new FormData(form));
  body.set("do", "save");
  try {
    const response = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
    if (response.status === 401 || response.status === 403) return say(form.dataset.over);
    if (!response.ok) throw new Error(response.status);
    const { draft, path } = await response.json();
    if (!live.dataset.draft) {
      live.dataset.draft = draft;
      form.action = path;
      history.replaceState(null, "", path);
    }
    say(form.dataset.saved);
    await show();
  } catch {
    say(form.dataset.failed);
    timer = setTimeout(save, AGAIN_MS);
  } finally {
    busy = false;
    if (waiting) form.requestSubmit(waiting);
    else if (changed) later();
  }
}

function later() {
  changed = true;
  clearTimeout(timer);
  timer = setTimeout(save, PAUSE_MS);
}

// A document that the server sends is no text that becomes markup: nothing in it runs.
function page(path) {
  return new Promise((done) => {
    const request = new XMLHttpRequest();
    request.open("GET", path);
    request.setRequestHeader("Accept", "text/html");
    request.responseType = "document";
    request.onload = () => done(request.status === 200 ? request.response : null);
    request.onerror = () => done(null);
    request.send();
  });
}

async function show() {
  if (!live.dataset.draft) return;
  const shown = (await page(`/provider/drafts/${live.dataset.draft}/preview?lang=${document.documentElement.lang}`))?.getElementById("shown");
  if (!shown) return;
  for (const one of shown.querySelectorAll("form, .proof, .actions, .crumbs, aside")) {
    if (one.tagName === "FORM") one.replaceWith(...one.childNodes);
    else one.remove();
  }
  for (const one of shown.querySelectorAll("input, button")) one.remove();
  for (const one of shown.querySelectorAll("[id], [tabindex], [aria-labelledby]")) {
    for (const name of ["id", "tabindex", "role", "aria-label", "aria-labelledby"]) one.removeAttribute(name);
  }
  for (const one of shown.querySelectorAll("h1, h2")) {
    const heading = document.createElement(one.tagName === "H1" ? "h2" : "h3");
    heading.append(...one.childNodes);
    one.replaceWith(heading);
  }
  live.replaceChildren(...document.adoptNode(shown).childNodes);
  live.hidden = false;
}

if (form && live) {
  form.addEventListener("input", later);
  form.addEventListener("submit", (event) => {
    clearTimeout(timer);
    if (!busy) { sending = true; return; }
    event.preventDefault(); // else the draft that is being made would be made twice
    waiting = event.submitter;
  });
  window.addEventListener("pageshow", () => { sending = false; waiting = null; });
  show();
}
