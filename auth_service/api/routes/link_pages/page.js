"use strict";
// The token is in the fragment of the link, which browsers do not send to a server. It is removed from the address bar
// before anything else happens, and nothing is sent until the user presses the button. The state of this entry of the
// tab's history keeps it for a reload, until it has been used, and for no longer than a link that sets a password lives.
const KEPT = 15 * 60 * 1000; // milliseconds
const PATIENCE = 20 * 1000; // milliseconds
const WHOLE = /^lnk_([0-9a-z]{29}|[\w-]{43})$/i;

const form = document.querySelector("form");
const button = form.querySelector("button:not([type])");
const problem = document.querySelector("#problem");
const byCode = document.querySelector("#by-code");
const typed = form.elements.token;
let token;

const keep = (state) => history.replaceState(state, "", location.pathname);
const keepTyped = () => keep({ typed: typed.value, until: Date.now() + KEPT });

// What an ending is kept as has no secret in it.
function end(sentence) {
  form.hidden = true;
  sentence.hidden = false;
  sentence.focus();
  keep({ ending: sentence.dataset.on });
}

const endingOf = (...words) => words.map((word) => document.querySelector(`[data-on="${word}"]`)).find(Boolean);

// Show one group of fields instead of the one that is there, if any. What is disabled is not sent.
function ask(wanted) {
  for (const group of form.querySelectorAll(".either")) {
    group.hidden = group.disabled = group !== wanted;
  }
  problem.hidden = true;
  button.disabled = false;
  shown("input").focus();
}

const shown = (selector) => [...form.querySelectorAll(selector)].find((field) => field.offsetParent !== null);

function complain(text, field) {
  problem.textContent = text;
  problem.hidden = false;
  button.disabled = false;
  field?.setAttribute("aria-invalid", "true");
  field?.focus();
}

const sentence = (word) => document.querySelector(`[data-problem="${word}"]`)?.textContent;
const counted = (number, unit) => `${number} ${unit}${number === 1 ? "" : "s"}`;

function wait(answer) {
  const seconds = Number(answer.headers.get("Retry-After")) || 60;
  return seconds < 120 ? counted(seconds, "second") : counted(Math.ceil(seconds / 60), "minute");
}

async function send() {
  const fields = Object.fromEntries(new FormData(form));
  const answer = await fetch(form.dataset.post, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token, ...fields }),
    signal: AbortSignal.timeout(PATIENCE),
  });
  const told = answer.status === 204 ? {} : await answer.json().catch(() => ({})); // a gateway may answer anything
  const word = answer.ok ? told.status || "done" : told.code;
  const wanted = form.querySelector(`[data-ask-on="${word}"]`);
  const mistyped = told.reason === "unknown" && !byCode.hidden;
  const ending = mistyped ? undefined : endingOf(`${word} ${told.reason}`, word);
  if (wanted && wanted.hidden) {
    ask(wanted);
  } else if (ending) {
    end(ending);
  } else {
    const field = mistyped ? typed : (shown(`[name="${told.errors?.[0].field}"]`) ?? shown("[name$=password]"));
    complain(words(answer, told), answer.status === 429 || answer.status >= 500 ? undefined : field);
  }
}

function words(answer, told) {
  if (answer.status === 429) return sentence("429").replace("{wait}", wait(answer));
  if (answer.status >= 500) return sentence("503").replace("{wait}", wait(answer));
  const fields = told.errors?.map(({ detail }) => detail).join(" ");
  return sentence(told.code) ?? (fields || told.detail || sentence("503").replace("{wait}", wait(answer)));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  button.disabled = true;
  problem.hidden = true;
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  send().catch(() => complain(sentence(navigator.onLine ? "no-answer" : "offline")));
});

for (const link of form.querySelectorAll(".switch")) {
  link.addEventListener("click", () => ask(form.querySelector(`#${link.dataset.to}`)));
}

for (const reveal of form.querySelectorAll(".reveal")) {
  const field = document.getElementById(reveal.getAttribute("aria-controls"));
  const show = (shown) => {
    field.type = shown ? "text" : "password";
    reveal.textContent = shown ? "Hide" : "Show";
    reveal.setAttribute("aria-label", shown ? "Hide password" : "Show password");
  };
  reveal.addEventListener("click", () => show(field.type === "password"));
  form.addEventListener("submit", () => show(false)); // so that no browser remembers it as a text
}

function begin() {
  const linked = /lnk_[\w-]*/i.exec(location.hash)?.[0];
  const kept = location.hash ? null : history.state;
  const alive = kept?.until > Date.now() ? kept : {};
  token = linked ?? alive.token;
  if (kept?.ending && endingOf(kept.ending)) return end(endingOf(kept.ending));
  form.hidden = false;
  if (WHOLE.test(token)) {
    keep({ token, until: Date.now() + KEPT });
  } else {
    token = undefined;
    byCode.hidden = byCode.disabled = false;
    typed.value = alive.typed ?? "";
    keepTyped();
    typed.addEventListener("input", keepTyped);
  }
  shown("input")?.focus();
}

addEventListener("hashchange", () => location.reload()); // the whole link, pasted into the address bar
begin();
