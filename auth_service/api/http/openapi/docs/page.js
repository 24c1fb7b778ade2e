// Shows the OpenAPI document, signs in by /auth/login, and gives Swagger UI the access token.
"use strict";
const form = document.getElementById("sign-in");
const names = document.getElementById("names");
const second = document.getElementById("second");
const go = document.getElementById("go");
const back = document.getElementById("back");
const output = form.querySelector("output");
const base = new URL(".", location.href).href.replace(/\/$/, "");
const dark = matchMedia("(prefers-color-scheme: dark)");
const EXAMPLE = '"art_..."'; // of a refresh token, in the bodies that Swagger UI fills in
let ui, challenge, refreshToken, timer;

async function show() {
  const spec = await (await fetch("openapi.json")).json();
  spec.servers = [{ url: base, description: "This page's own" }]; // which need not be at AUTH_PUBLIC_URL
  ui = SwaggerUIBundle({
    spec, dom_id: "#swagger-ui", deepLinking: true, presets: [SwaggerUIBundle.presets.apis], layout: "BaseLayout",
    requestInterceptor: fillIn, responseInterceptor: goOn,
  });
}

// The example of a refresh token stands for that of who is signed in here.
function fillIn(request) {
  if (refreshToken && typeof request.body === "string") {
    request.body = request.body.replace(EXAMPLE, JSON.stringify(refreshToken));
  }
  return request;
}

// New tokens of who is signed in here take the place of the old ones, which would end the session when they come again.
function goOn(answer) {
  const path = answer.url?.startsWith(base) ? answer.url.slice(base.length) : "";
  if (refreshToken && answer.ok && /^\/auth\/(refresh|me\/)/.test(path)) {
    const told = answer.body ?? {};
    if (told.refresh_token) keep(told);
  }
  return answer;
}

async function post(path, body) {
  const answer = await fetch(base + path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  return { ok: answer.ok, told: answer.status === 204 ? {} : await answer.json() };
}

// What is shown: "names" and a password, a "code" for the second step, or nothing but the way out when "in".
function turn(step) {
  names.hidden = names.disabled = step !== "names";
  second.hidden = second.disabled = step !== "code";
  go.hidden = step === "in";
  back.hidden = step === "names";
  back.textContent = step === "in" ? "Sign out" : "Start again";
  form.reset();
  if (step === "code") form.code.focus();
}

function login() {
  if (challenge) return post("/auth/login/second-factor", { challenge, code: form.code.value.trim() });
  const who = form.who.value;
  return post("/auth/login", { [who.includes("@") ? "email" : "username"]: who, password: form.password.value });
}

function keep(tokens) {
  refreshToken = tokens.refresh_token;
  ui.preauthorizeApiKey("access_token", tokens.access_token);
  clearTimeout(timer);
  timer = setTimeout(renew, Math.max(tokens.expires_in - 30, 1) * 1000);
}

// Only the end of the session ends it here: after anything else it is asked again.
async function renew() {
  const { ok, told } = await post("/auth/refresh", { refresh_token: refreshToken }).catch(() => ({}));
  if (ok) keep(told);
  else if (told?.code === "invalid-refresh-token") end(`${told.detail} Sign in again.`);
  else timer = setTimeout(renew, 2000);
}

function end(sentence) {
  clearTimeout(timer);
  challenge = refreshToken = undefined;
  ui.authActions.logout(["access_token"]);
  turn("names");
  output.value = sentence;
}

function refused(problem) {
  if (problem.code === "second-factor-required") {
    if (problem.methods.some((method) => method !== "passkey")) {
      challenge = problem.challenge;
      turn("code");
      return "This account has a second factor: enter a code.";
    }
    return "This account signs in with a passkey, which this page cannot ask for. Sign in to your application, and " +
      "paste its access token after a click on “Authorize”.";
  }
  if (problem.code === "second-factor-enrolment-required") {
    return "This account must add a second factor first, which this page cannot do.";
  }
  const fields = (problem.errors ?? []).map(({ field, detail }) => `${field}: ${detail}`);
  return [problem.detail, ...fields].join(" ");
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const { ok, told } = await login();
    if (!ok) {
      output.value = refused(told);
      return;
    }
    challenge = undefined;
    keep(told);
    turn("in");
    output.value = "Signed in: “Try it out” sends the access token, and your refresh token for art_...";
  } catch {
    output.value = "The service did not answer. Try again.";
  }
});

back.addEventListener("click", async () => {
  const wasIn = refreshToken !== undefined;
  const { ok } = wasIn ? await post("/auth/logout", { refresh_token: refreshToken }).catch(() => ({})) : {};
  end(ok ? "Signed out." : wasIn ? "Signed out here; the service could not be told." : "");
});

const colour = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", colour);
colour();
show();
