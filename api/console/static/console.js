// Conveniences. The console works without scripts.
"use strict";

// The checkbox in the head of a table selects all of its rows.
document.addEventListener("change", (event) => {
  if (!event.target.matches(".tick-all")) return;
  const boxes = event.target.closest("table").querySelectorAll("tbody .tick input");
  for (const box of boxes) box.checked = event.target.checked;
});

// Controls that need scripts are hidden until this script runs.
function showControls() {
  for (const hidden of document.querySelectorAll(".tick-all, .copy")) hidden.hidden = false;
}

// The copy button of a new API key.
document.addEventListener("click", async (event) => {
  if (!event.target.matches(".copy")) return;
  await navigator.clipboard.writeText(document.getElementById("key").value);
  event.target.textContent = "Copied";
});

// A search replaces part of the page, with new controls in it.
document.addEventListener("htmx:after:swap", showControls);
showControls();
