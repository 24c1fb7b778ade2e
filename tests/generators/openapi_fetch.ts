// Signs in by openapi-fetch, with the types that openapi-typescript makes.
import { auth, login } from "./client";

const [, email, password, internalToken] = process.argv.slice(2);
const registered = await auth.POST("/auth/register", { body: { email, password } });
const again = await auth.POST("/auth/register", { body: { email, password } });
const short = await auth.POST("/auth/register", { body: { email, password: "short" } });
const wrong = await auth.POST("/auth/login", { body: { email, password: password + "x" } });
const tokens = await login(email, password);
const { data: account } = await auth.GET("/auth/me", { headers: { Authorization: `Bearer ${tokens.access_token}` } });
const { data: next } = await auth.POST("/auth/refresh", { body: { refresh_token: tokens.refresh_token } });
if (!next) throw new Error("no tokens");
const form = { "Content-Type": "application/x-www-form-urlencoded" };
const known = await auth.POST("/internal/introspect", {
  body: { token: next.access_token },
  headers: { ...form, "X-Internal-Token": internalToken },
});
await auth.POST("/auth/logout", { body: { refresh_token: next.refresh_token } });
const ended = await auth.POST("/auth/refresh", { body: { refresh_token: next.refresh_token } });
const revoked = await auth.POST("/auth/revoke", { body: { token: next.access_token }, headers: form });
console.log(
  JSON.stringify({
    registered: registered.data && "email" in registered.data && registered.data.email,
    taken: again.error?.code,
    fields: short.error?.errors?.map(({ field }) => field),
    wrong: wrong.error?.code,
    me: account?.email,
    rotated: next.refresh_token !== tokens.refresh_token && next.session_id === tokens.session_id,
    active: known.data?.active,
    ended: ended.error?.code,
    revoked: revoked.response.status,
  }),
);
