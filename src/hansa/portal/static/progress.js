// How far a job is, without loading the page again. Without it the page refreshes by itself.
const box = document.getElementById("progress");
const bar = box.querySelector("progress");
const text = box.querySelector("span");
const PAUSE_MS = 1000;
const count = (number) => number.toLocaleString(document.documentElement.lang);

async function look() {
  try {
    const response = await fetch(location.pathname, { headers: { Accept: "application/json" } });
    const progress = response.ok ? (await response.json()).progress : null;
    if (response.redirected || !response.ok || !progress || progress.problem) return location.reload();
    bar.value = progress.done;
    if (!progress.is_waiting) {
      text.textContent = box.dataset.text.replace("{done}", count(progress.done)).replace("{total}", count(progress.total));
    }
  } catch {
    // The marketplace does not answer now: it is asked again.
  }
  setTimeout(look, PAUSE_MS);
}

setTimeout(look, PAUSE_MS);
