// Small comforts. Everything works without them.
"use strict";

// A box in the head of a table ticks all below it.
document.addEventListener("change", (event) => {
  if (!event.target.matches(".tick-all")) return;
  const boxes = event.target.closest("table").querySelectorAll("tbody .tick input");
  for (const box of boxes) box.checked = event.target.checked;
});

function showComforts() {
  for (const hidden of document.querySelectorAll(".tick-all, .copy")) hidden.hidden = false;
}

// The key that is shown once goes to the clipboard by a button.
document.addEventListener("click", async (event) => {
  if (!event.target.matches(".copy")) return;
  await navigator.clipboard.writeText(document.getElementById("key").value);
  event.target.textContent = "Copied";
});

// What a live search has found is new on the page, too.
document.addEventListener("htmx:after:swap", showComforts);
showComforts();
