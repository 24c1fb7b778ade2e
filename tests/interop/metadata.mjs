// An OAuth client: it knows the issuer alone, finds the metadata (RFC 8414), and revokes a token with it (RFC 7009).
import { webcrypto } from "node:crypto";
import * as oauth from "oauth4webapi";

globalThis.crypto ??= webcrypto; // Node 18
const [issuer, token] = process.argv.slice(2);
const insecure = { [oauth.allowInsecureRequests]: true };
const url = new URL(issuer);
const server = await oauth.processDiscoveryResponse(
  url, await oauth.discoveryRequest(url, { algorithm: "oauth2", ...insecure }));
const client = { client_id: "first-party" };
await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, oauth.None(), token, insecure));
console.log(JSON.stringify(server));
