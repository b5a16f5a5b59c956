"use strict";
// Sends the requests of the forms to this marketplace, and finds APIs in the list. The token stays in its field:
// it is kept nowhere else and goes with a request of this page only. Whoever is logged in needs none: requests go with
// the session then, and what changes something with the token of this page.

const SHOWN_MAX_CHARS = 200000;
const session = document.getElementById("session");

function make(tag, text, name) {
  const element = document.createElement(tag);
  element.textContent = text;
  if (name) element.className = name;
  return element;
}

function openTarget() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let place = target; place; place = place.parentElement) if (place.tagName === "DETAILS") place.open = true;
  target.scrollIntoView();
}

function requestOf(form) {
  let path = form.dataset.path;
  const query = [];
  const headers = {};
  for (const field of form.querySelectorAll("[data-in]")) {
    const value = field.value.trim();
    if (field.dataset.in === "path") path = path.replace(`{${field.name}}`, encodeURIComponent(value));
    else if (value === "") continue;
    else if (field.dataset.in === "raw") query.push(value.replace(/^[?&]+/, ""));
    else if (field.dataset.in === "query") query.push(`${encodeURIComponent(field.name)}=${encodeURIComponent(value)}`);
    else if (field.dataset.in === "header") headers[field.name] = value;
  }
  const body = form.querySelector("textarea");
  if (body) headers["Content-Type"] = form.querySelector("select.media").value;
  const token = session ? "" : document.getElementById("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (session && form.dataset.method !== "GET") headers["X-CSRF-Token"] = session.dataset.csrf;
  return {
    method: form.dataset.method,
    url: path + (query.length ? `?${query.join("&")}` : ""),
    headers,
    body: body ? body.value : undefined,
  };
}

function asCommand(request) {
  const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
  const parts = [`curl -s -X ${request.method} ${quoted(location.origin + request.url)}`];
  if (session) parts.push('-H "Authorization: Bearer $TOKEN"');
  for (const [name, value] of Object.entries(request.headers)) {
    if (name === "X-CSRF-Token") continue;
    parts.push(name === "Authorization" ? '-H "Authorization: Bearer $TOKEN"' : `-H ${quoted(`${name}: ${value}`)}`);
  }
  if (request.body !== undefined) parts.push(`-d ${quoted(request.body)}`);
  return parts.join(" \\\n  ");
}

function readable(text) {
  let shown = text;
  try {
    shown = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // Not JSON: shown as it came.
  }
  const rest = shown.length - SHOWN_MAX_CHARS;
  return rest > 0 ? `${shown.slice(0, SHOWN_MAX_CHARS)}\n… and ${rest} characters more` : shown;
}

function offerIdentifier(form, text) {
  let id;
  try {
    const body = JSON.parse(text);
    id = (Array.isArray(body) ? body[0] : body)?.id;
  } catch {
    return;
  }
  if (typeof id !== "string") return;
  for (const field of form.closest("section").querySelectorAll("[data-in=path][name=id]")) {
    if (!field.value) field.value = id;
  }
}

async function send(form) {
  const answer = form.querySelector(".answer");
  const button = form.querySelector("button");
  const request = requestOf(form);
  button.disabled = true;
  answer.replaceChildren(make("p", "Waiting for the answer…", "quiet"));
  const parts = [];
  try {
    const started = performance.now();
    const response = await fetch(request.url, {
      method: request.method, headers: request.headers, body: request.body,
      cache: "no-store", credentials: session ? "same-origin" : "omit", redirect: "manual",
    });
    const text = await response.text();
    const status = make("p", `${response.status} ${response.statusText}`.trim(), "status");
    status.classList.add(response.ok || response.status === 304 ? "ok" : "refused");
    status.append(make("span", ` after ${Math.max(1, Math.round(performance.now() - started))} ms`, "quiet small"));
    const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    parts.push(status, make("h3", "Headers"), make("pre", headers), make("h3", "Body"));
    parts.push(text ? make("pre", readable(text)) : make("p", "There is none.", "quiet"));
    if (response.ok) offerIdentifier(form, text);
  } catch (problem) {
    parts.push(make("p", `No answer came: ${problem.message}`, "status refused"));
    parts.push(make("p", "The marketplace does not run, or the request cannot be sent in this form.", "quiet"));
  }
  parts.push(make("h3", "The same with curl"), make("pre", asCommand(request)));
  answer.replaceChildren(...parts);
  button.disabled = false;
}

function chooseMedia(select) {
  const body = select.form.querySelector("textarea");
  body.value = select.selectedOptions[0].dataset.example;
}

const tokenField = document.getElementById("token");
if (session && tokenField) tokenField.closest(".tools").hidden = true;

for (const form of document.querySelectorAll("form.try")) {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
  form.querySelector("select.media")?.addEventListener("change", (event) => chooseMedia(event.target));
}

const search = document.getElementById("search");
if (search) {
  search.closest(".tools").hidden = false;
  const rows = [...document.querySelectorAll("tbody tr")];
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
      shown += !row.hidden;
    }
    document.getElementById("nothing").hidden = shown > 0;
  });
}

// A browser keeps a page as it was left, to show it again: nobody else must see what a token opened.
function forget() {
  const token = document.getElementById("token");
  if (token) token.value = "";
  for (const answer of document.querySelectorAll(".answer")) answer.replaceChildren();
}

addEventListener("pagehide", forget);
addEventListener("pageshow", (event) => { if (event.persisted) forget(); });
document.getElementById("token")?.addEventListener("input", () => {
  for (const answer of document.querySelectorAll(".answer")) answer.replaceChildren();
});
addEventListener("hashchange", openTarget);
openTarget();
