// Passkeys. A form with `data-passkey` asks the browser for one before it is sent: `create` makes a
// new one, `get` has one sign. The options are in `data-options`, or come from `data-options-url`.
"use strict";

const isSupported =
  window.PublicKeyCredential &&
  PublicKeyCredential.parseCreationOptionsFromJSON &&
  PublicKeyCredential.parseRequestOptionsFromJSON;

// Forms that no browser without passkeys could send are hidden until this script runs.
for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.hidden = false;
  if (isSupported) continue;
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  say(form, form.dataset.unsupported);
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-passkey]") || sent(form).value) return;
  event.preventDefault();
  say(form, "");
  try {
    const credential = await ask(form);
    sent(form).value = JSON.stringify(credential);
    form.submit();
  } catch (error) {
    say(form, form.dataset[error.name === "NotAllowedError" ? "cancelled" : "failed"]);
    // For those who look for the cause: the page shows none of the browser's own words.
    console.warn(error);
  }
});

async function ask(form) {
  const options = await optionsOf(form);
  if (form.dataset.passkey === "create") {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
    return navigator.credentials.create({ publicKey });
  }
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return navigator.credentials.get({ publicKey });
}

async function optionsOf(form) {
  if (form.dataset.options) return JSON.parse(form.dataset.options);
  const response = await fetch(form.dataset.optionsUrl, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: form.dataset.optionsBody ?? "{}",
  });
  if (!response.ok) throw new Error(`the options were answered with ${response.status}`);
  return response.json();
}

// The field that what the browser made or signed is sent in.
function sent(form) {
  return form.querySelector("[data-sent]");
}

function say(form, text) {
  const message = form.querySelector("[role=alert]");
  message.textContent = text;
  message.hidden = !text;
}
