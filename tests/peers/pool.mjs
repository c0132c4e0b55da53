// Nodemailer's pool as a sender: for each line of its input, that many messages; then a line back.
//
// node pool.mjs '{"port": …, "connections": 20, "raw": "…" | null, "message": {…}}'

import { createInterface } from "node:readline";
import { createTransport } from "nodemailer";

const options = JSON.parse(process.argv[2]);
const pool = createTransport({
  pool: true,
  host: "127.0.0.1",
  port: options.port,
  secure: false,
  ignoreTLS: true,
  maxConnections: options.connections,
  maxMessages: Infinity,
});
const raw = options.raw === null ? null : Buffer.from(options.raw, "base64");
const envelope = { from: options.message.from, to: [options.message.to] };
const message = raw ? { envelope, raw } : options.message;

async function send(count) {
  let left = count;
  // A few more senders than connections, so that no connection waits for its next message.
  const senders = Array.from({ length: options.connections * 2 }, async () => {
    while (left-- > 0) await pool.sendMail(message);
  });
  await Promise.all(senders);
}

for await (const line of createInterface({ input: process.stdin })) {
  await send(Number(line));
  process.stdout.write("done\n");
}
pool.close();
