// Suggestions while typing, in the list of the search box. Without it the box searches all the same.
const field = document.getElementById("find");
const list = document.getElementById("suggestions");
const PAUSE_MS = 150;
let timer = 0;
let latest = 0;

async function suggest() {
  const text = field.value.trim();
  const number = ++latest;
  if (text.length < 2) return list.replaceChildren();
  try {
    const response = await fetch(`/search/suggestions?q=${encodeURIComponent(text)}`, { headers: { Accept: "application/json" } });
    if (!response.ok || number !== latest) return;
    const { suggestions } = await response.json();
    list.replaceChildren(...suggestions.map((one) => {
      const option = document.createElement("option");
      option.value = one.text;
      return option;
    }));
  } catch {
    // The marketplace does not answer: nothing is suggested.
  }
}

if (field && list) {
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(suggest, PAUSE_MS);
  });
}
