"use strict";
// The token is in the fragment of the link, which browsers do not send to a server. It is removed from the address bar
// and the history before anything else happens, and nothing is sent until the user presses the button.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
history.replaceState(null, "", location.pathname);

const form = document.querySelector("form");
const button = form.querySelector("button:not([type])");
const problem = document.querySelector("#problem");

// Show the message that the page has for this word; false if it has none.
function show(word) {
  const sentence = document.querySelector(`[data-on="${word}"]`);
  if (sentence) {
    form.hidden = true;
    problem.hidden = true;
    sentence.hidden = false;
  }
  return sentence !== null;
}

// Show one group of fields instead of the one that is there, if any. What is disabled is not sent.
function ask(wanted) {
  for (const group of form.querySelectorAll("fieldset")) {
    group.hidden = group.disabled = group !== wanted;
  }
  problem.hidden = true;
  button.disabled = false;
  wanted.querySelector("input:not([hidden])").focus();
}

function complain(text) {
  problem.textContent = text;
  problem.hidden = false;
  button.disabled = false;
}

async function send() {
  const fields = Object.fromEntries(new FormData(form));
  const answer = await fetch(form.dataset.post, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token, ...fields }),
  });
  const told = answer.status === 204 ? {} : await answer.json();
  const word = answer.ok ? told.status || "done" : told.code;
  const wanted = form.querySelector(`[data-ask-on="${word}"]`);
  if (wanted && wanted.hidden) {
    ask(wanted);
  } else if (!show(word)) {
    complain(document.querySelector(`[data-problem="${word}"]`)?.textContent ?? told.detail);
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  button.disabled = true;
  send().catch(() => complain("We could not reach the service. Please try again."));
});

for (const link of form.querySelectorAll(".switch")) {
  link.addEventListener("click", () => ask(form.querySelector(`#${link.dataset.to}`)));
}

if (token) {
  form.hidden = false;
} else {
  show("invalid-link");
}
