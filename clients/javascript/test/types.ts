/** What the compiler takes and refuses; nothing of it is run. It is compiled without the types of a browser, too. */

import { type Auth, AuthError, createAuth, type SimpleStorage, type StepUpHook } from "auth-service-client";

const storage: SimpleStorage = { getItem: () => null, setItem: () => {}, removeItem: () => {} };
const onStepUp: StepUpHook = ({ acrValues, maxAge = 0 }) => acrValues.includes("aal2") && maxAge > 60;
const password = "correct horse battery staple";

export async function right(): Promise<unknown[]> {
  const auth: Auth = createAuth({
    url: "https://auth.example.com",
    mode: "storage",
    storage,
    onStepUp,
    fetch,
    plainHttp: true,
  });
  const refused = await auth.signIn({ email: "ada@example.com", password }).catch((error: unknown) => error);
  if (refused instanceof AuthError) {
    await auth.secondFactor(refused, "123456");
    await auth.secondFactor(refused.problem ?? {});
    const begun = await auth.enrol(refused);
    await auth.confirmEnrolment(begun);
    await auth.confirmEnrolment(refused, "123456");
  }
  createAuth({ url: "https://auth.example.com", mode: "cookie", storage }); // what tabs share has no token then
  await auth.signIn({ username: "ada", password });
  await auth.request("GET", "/auth/sessions", { query: { limit: 10 } });
  await auth.request("POST", "/auth/me/recovery-codes", {});
  const { email } = await auth.request("GET", "/auth/me");
  return [email, (await auth.fetch(new URL("https://api.example.com"), { method: "POST" })).status];
}

export function wrong(auth: Auth, error: AuthError, cancelled: string | null): unknown[] {
  // @ts-expect-error: the client alone says who is signed in
  auth.state = { status: "signed-in", sessionId: null };
  // @ts-expect-error: and so of its members
  auth.state.status = "signed-in";
  return [
    // @ts-expect-error: a GET has no body
    auth.request("GET", "/auth/me", { body: {} }),
    // @ts-expect-error: there is nothing in its path to fill in
    auth.request("GET", "/auth/me", { params: { id: "1" } }),
    // @ts-expect-error: it takes no query
    auth.request("GET", "/auth/me", { query: { limit: 1 } }),
    // @ts-expect-error: no such path
    auth.request("POST", "/auth/forgotten", {}),
    // @ts-expect-error: it has no such method
    auth.request("PATCH", "/auth/login", {}),
    // @ts-expect-error: it has no such field
    auth.request("POST", "/auth/forgot-password", { body: { mail: "ada@example.com" } }),
    // @ts-expect-error: it is not said which
    auth.request("DELETE", "/auth/sessions/{session_id}"),
    // @ts-expect-error: one of the two names
    auth.signIn({ email: "ada@example.com", username: "ada", password }),
    // @ts-expect-error: one proof is enough
    auth.stepUp({ password, code: "123456" }),
    // @ts-expect-error: none of them
    auth.signIn({ password }),
    // @ts-expect-error: the user has cancelled
    auth.secondFactor(error, cancelled),
    // @ts-expect-error: the same
    auth.confirmEnrolment(error, cancelled),
    // @ts-expect-error: there is no such mode
    createAuth({ url: "https://auth.example.com", mode: "local" }),
    // @ts-expect-error: there is no such option
    createAuth({ url: "https://auth.example.com", mode: "memory", apiz: [] }),
    // @ts-expect-error: a session in memory is stored nowhere
    createAuth({ url: "https://auth.example.com", mode: "memory", storage }),
    // @ts-expect-error: it does not say whether there was a step-up
    createAuth({ url: "https://auth.example.com", mode: "memory", onStepUp: () => {} }),
    // @ts-expect-error: text does not, either
    createAuth({ url: "https://auth.example.com", mode: "memory", onStepUp: async () => "done" }),
    // @ts-expect-error: it cannot keep anything
    createAuth({ url: "https://auth.example.com", mode: "storage", storage: {} }),
  ];
}
