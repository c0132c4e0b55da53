// oidc-provider as the authorization server of a mail provider, with a second port for the test.
//
// node authorization_server.mjs '{"clients": […], …}'   prints one line of JSON with both ports,
// and ends when its input does. People sign in with their address and any password.
//
// The test's port takes JSON by POST: /expire, /revoke {account}, /lifetimes {access, refresh},
// /issue {account, client, scope}, /trouble {times, and: hang | delay | status, headers, body}.
// GET /calls tells what the token endpoints were asked.

import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { importJWK, jwtVerify } from "jose";
import { TokenStore } from "./token_store.mjs";

console.info = console.error; // the provider's notices; standard output is ours
const { default: Provider } = await import("oidc-provider");

const BY_ASSERTION = "/service-account/token";

const options = JSON.parse(process.argv[2]);
const store = new TokenStore();
const lifetimes = { access: options.access_seconds, refresh: options.refresh_seconds };
const calls = [];
let trouble = { times: 0 };

const port = (server) => server.address().port;
const listening = (server) =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));

const pem = options.certificate && readFileSync(options.certificate);
const front = await listening(pem ? https.createServer({ key: pem, cert: pem }) : http.createServer());
const issuer = `${pem ? "https" : "http"}://localhost:${port(front)}`;

const provider = new Provider(issuer, {
  adapter: store.adapter,
  clients: options.clients,
  scopes: options.scopes,
  claims: { openid: ["sub"], email: ["email"] },
  conformIdTokenClaims: false, // the address stands in the id_token, as at Google and Microsoft
  pkce: { required: () => true },
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    devInteractions: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: { enabled: false },
    revocation: { enabled: true },
  },
  cookies: { keys: ["of a server that lives for one test"] },
  issueRefreshToken: async () => true,
  rotateRefreshToken: options.rotates,
  ttl: {
    AccessToken: () => lifetimes.access,
    ClientCredentials: () => lifetimes.access,
    DeviceCode: 600,
    Grant: () => lifetimes.refresh,
    IdToken: 600,
    Interaction: 600,
    RefreshToken: () => lifetimes.refresh,
    Session: 600,
  },
  findAccount: async (_, address) => ({
    accountId: address,
    claims: async () => ({ sub: address, email: address }),
  }),
  // Whose mail a token opens, for the mail server that asks by introspection. A program that
  // signs in as itself opens the one mailbox it was given.
  extraTokenClaims: (_, token) => ({ mailbox: token.accountId ?? options.app_mailbox }),
});

provider.use(async (ctx, next) => {
  if (ctx.path !== "/token" && ctx.path !== BY_ASSERTION) return next();
  const call = { grant: null, client: null, status: null, error: null };
  calls.push(call);
  if (!(await isInTrouble(ctx))) await (ctx.path === BY_ASSERTION ? answerAssertion(ctx) : next());
  call.grant = ctx.oidc?.params?.grant_type ?? null;
  call.client = ctx.oidc?.client?.clientId ?? null;
  call.status = ctx.status;
  call.error = ctx.body?.error ?? null;
});

// Whether the token endpoint behaves as the test said, instead of as itself.
async function isInTrouble(ctx) {
  if (trouble.times <= 0) return false;
  trouble.times -= 1;
  if (trouble.hang) await new Promise(() => {});
  if (trouble.delay) await new Promise((resolve) => setTimeout(resolve, trouble.delay * 1000));
  if (!trouble.status) return false;
  ctx.status = trouble.status;
  ctx.set(trouble.headers ?? {});
  ctx.body = trouble.body ?? "";
  return true;
}

// RFC 7523 §2.1 as Google has it: the assertion says who asks, and no client is named besides.
async function answerAssertion(ctx) {
  const form = new URLSearchParams(await textOf(ctx.req));
  try {
    const key = await importJWK(options.service_account.jwk, "RS256");
    const { payload } = await jwtVerify(form.get("assertion"), key, {
      issuer: options.service_account.email,
      audience: issuer + BY_ASSERTION,
      maxTokenAge: "1h",
    });
    const issued = await accessToken(payload.sub ?? payload.iss, options.app_client, payload.scope);
    ctx.body = { access_token: issued, expires_in: lifetimes.access, token_type: "Bearer" };
  } catch (error) {
    ctx.status = 400;
    ctx.body = { error: "invalid_grant", error_description: error.message };
  }
}

async function accessToken(accountId, clientId, scope, grantId) {
  const client = await provider.Client.find(clientId);
  const token = new provider.AccessToken({ accountId, client, grantId, scope, gty: "authorization_code" });
  return token.save();
}

// What a consent in the browser would have left, without the browser.
async function issue({ account, client: clientId, scope }) {
  const client = await provider.Client.find(clientId);
  const grant = new provider.Grant({ accountId: account, clientId });
  grant.addOIDCScope(scope);
  const grantId = await grant.save();
  const refresh = new provider.RefreshToken({
    accountId: account,
    authTime: Math.floor(Date.now() / 1000),
    client,
    grantId,
    gty: "authorization_code",
    rotations: 0,
    scope,
  });
  return {
    access_token: await accessToken(account, clientId, scope, grantId),
    refresh_token: await refresh.save(),
  };
}

async function textOf(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const wishes = {
  "/calls": () => calls,
  "/expire": () => store.expireAccessTokens(),
  "/issue": issue,
  "/lifetimes": (wished) => Object.assign(lifetimes, wished),
  "/revoke": ({ account }) => store.revoke(account),
  "/trouble": (wished) => (trouble = { times: 1, ...wished }),
};

const desk = http.createServer(async (request, response) => {
  try {
    const wish = JSON.parse((await textOf(request)) || "{}");
    response.end(JSON.stringify(await wishes[request.url](wish)));
  } catch (error) {
    response.writeHead(500).end(error.stack);
  }
});

provider.on("server_error", (_, error) => console.error(error));
front.on("request", provider.callback());
await listening(desk);
process.stdout.write(JSON.stringify({ issuer, desk: port(desk) }) + "\n");
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
