// Stars on cards: mark a favourite where one stands. Without it the button sends its form, and the page comes again.
async function toggle(button) {
  const fields = new URLSearchParams(new FormData(button.form));
  fields.append("pick", button.value);
  button.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(button.form.action, { method: "POST", body: fields, redirect: "manual" });
    if (response.type !== "opaqueredirect") return button.form.requestSubmit(button);
    const marked = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(marked));
    button.setAttribute("form", marked ? "unmarking" : "marking");
    button.firstElementChild.textContent = marked ? "★" : "☆";
  } catch {
    button.form.requestSubmit(button);
  } finally {
    button.removeAttribute("aria-busy");
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.star");
  if (button === null) return;
  event.preventDefault();
  if (button.getAttribute("aria-busy") !== "true") toggle(button);
});
