// Signs in by the client that orval makes for `fetch`.
import { introspectToken, login, logout, refresh, register, revokeToken, showAccount } from "./api";

const [baseUrl, email, password, internalToken] = process.argv.slice(2);
const plain = globalThis.fetch;
globalThis.fetch = (path, options) => plain(baseUrl + path, options); // as a page has it, whose origin is the service's

const registered = await register({ email, password });
const again = await register({ email, password });
const short = await register({ email, password: "short" });
const wrong = await login({ email, password: password + "x" });
const signedIn = await login({ email, password });
if (signedIn.status !== 200 || !signedIn.data.refresh_token) throw new Error("no tokens");
const tokens = signedIn.data;
const account = await showAccount({ headers: { Authorization: `Bearer ${tokens.access_token}` } });
const renewed = await refresh({ refresh_token: signedIn.data.refresh_token });
if (renewed.status !== 200 || !renewed.data.refresh_token) throw new Error("no tokens");
const next = renewed.data;
const known = await introspectToken({ token: next.access_token }, { headers: { "X-Internal-Token": internalToken } });
await logout({ refresh_token: renewed.data.refresh_token });
const ended = await refresh({ refresh_token: renewed.data.refresh_token });
const revoked = await revokeToken({ token: renewed.data.refresh_token });
console.log(
  JSON.stringify({
    registered: registered.status === 201 && registered.data.email,
    taken: again.status === 409 && again.data.code,
    fields: short.status === 422 && short.data.errors?.map(({ field }) => field),
    wrong: wrong.status === 401 && wrong.data.code,
    me: account.status === 200 && account.data.email,
    rotated: next.refresh_token !== tokens.refresh_token && next.session_id === tokens.session_id,
    active: known.status === 200 && known.data.active,
    ended: ended.status === 401 && ended.data.code,
    revoked: revoked.status,
  }),
);
