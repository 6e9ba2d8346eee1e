// Conveniences. The pages work without scripts.
"use strict";

// The checkbox in the head of a table selects all of its rows.
document.addEventListener("change", (event) => {
  if (!event.target.matches(".tick-all")) return;
  const boxes = event.target.closest("table").querySelectorAll("tbody .tick input");
  for (const box of boxes) box.checked = event.target.checked;
});

// The button that ends the selected sessions says how many these are.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form");
  const counter = form?.querySelector(".selected");
  if (!counter) return;
  const number = form.querySelectorAll("tbody .tick input:checked").length;
  counter.textContent = number ? ` (${number})` : "";
});

// Controls that need scripts are hidden until this script runs.
function showControls() {
  for (const hidden of document.querySelectorAll(".tick-all, .copy, .print")) hidden.hidden = false;
}

// The buttons of what is shown this once: an API key, a client's secret, recovery codes.
document.addEventListener("click", async (event) => {
  if (!event.target.matches(".copy")) return;
  await navigator.clipboard.writeText(event.target.closest("section").querySelector("textarea").value);
  event.target.textContent = event.target.dataset.done;
});
document.addEventListener("click", (event) => {
  if (event.target.matches(".print")) window.print();
});

// A search replaces part of the page, with new controls in it.
document.addEventListener("htmx:after:swap", showControls);
showControls();
