// Signs in by the client that @hey-api/openapi-ts makes.
import { introspectToken, login, logout, refresh, register, revokeToken, showAccount } from "./sdk";
import { client } from "./sdk/client.gen";

const [baseUrl, email, password, internalToken] = process.argv.slice(2);
client.setConfig({ baseUrl });

const registered = await register({ body: { email, password } });
const again = await register({ body: { email, password } });
const short = await register({ body: { email, password: "short" } });
const wrong = await login({ body: { email, password: password + "x" } });
const { data: tokens } = await login({ body: { email, password } });
if (!tokens?.refresh_token) throw new Error("no tokens");
const { data: account } = await showAccount({ auth: tokens.access_token });
const { data: next } = await refresh({ body: { refresh_token: tokens.refresh_token } });
if (!next?.refresh_token) throw new Error("no tokens");
const known = await introspectToken({ body: { token: next.access_token }, auth: internalToken });
await logout({ body: { refresh_token: next.refresh_token } });
const ended = await refresh({ body: { refresh_token: next.refresh_token } });
const revoked = await revokeToken({ body: { token: next.refresh_token } });
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
    revoked: revoked.response?.status,
  }),
);
