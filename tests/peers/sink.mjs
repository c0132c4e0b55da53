// Nodemailer's own server as a relay: takes mail and writes down each message as it came.
//
// node sink.mjs '{"folder": …}'   prints one line of JSON with its port, ends when its input does.

import { randomUUID } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SMTPServer } from "smtp-server";

const options = JSON.parse(process.argv[2]);
const pem = readFileSync(options.certificate);

// A refusal is [code, text]; smtp-server takes both from an Error.
const refusal = ([code, text]) => Object.assign(new Error(text), { responseCode: code });

function isKnown(login) {
  if (login.method === "XOAUTH2") return login.accessToken === options.token;
  if (login.method === "CRAM-MD5") return login.validatePassword(options.password);
  return login.password === options.password;
}

function keep(content, session, login) {
  const name = join(options.folder, `${Date.now()}-${randomUUID()}`);
  const { envelope } = session;
  const record = {
    from: envelope.mailFrom.address,
    to: envelope.rcptTo.map((recipient) => recipient.address),
    parameters: envelope.mailFrom.args || {},
    greeted_as: session.hostNameAppearsAs,
    secure: session.secure,
    login: login ?? null,
  };
  writeFileSync(`${name}.eml`, content);
  // The record appears whole or not at all, and after the content: who sees it may read both.
  writeFileSync(`${name}.part`, JSON.stringify(record));
  renameSync(`${name}.part`, `${name}.json`);
}

const server = new SMTPServer({
  key: pem,
  cert: pem,
  secure: options.tls === "implicit",
  hideSTARTTLS: options.tls === "none",
  allowInsecureAuth: options.tls === "none",
  authOptional: options.auth.length === 0,
  authMethods: options.auth,
  size: options.size || undefined,
  disableReverseLookup: true,
  logger: false,

  onAuth(login, session, answer) {
    if (login.username !== options.username || !isKnown(login))
      return answer(refusal([535, "5.7.8 the name or the password is wrong"]));
    answer(null, { user: { name: login.username, method: login.method } });
  },
  onRcptTo(recipient, session, answer) {
    const refused = options.rejected[recipient.address];
    answer(refused ? refusal(refused) : null);
  },
  onData(stream, session, answer) {
    const chunks = [];
    stream.on("data", (chunk) => chunks.push(chunk));
    stream.on("end", () => {
      if (stream.sizeExceeded) return answer(refusal([552, "5.3.4 too many octets"]));
      keep(Buffer.concat(chunks), session, session.user);
      answer(null, "kept");
    });
  },
});

server.on("error", (error) => console.error(error.message)); // one client's trouble, not ours
server.listen(0, "127.0.0.1", () =>
  process.stdout.write(JSON.stringify({ port: server.server.address().port }) + "\n"),
);
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
