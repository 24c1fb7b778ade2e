// better-auth as its documentation sets it up on Node: e-mail and password, PostgreSQL through a pool of `pg`, and Argon2id
// with the parameters of the comparison. `node server.mjs migrate` makes the tables; `node server.mjs PORT WORKERS` serves.
import cluster from "node:cluster";
import { createServer } from "node:http";
import { Algorithm, hash, verify } from "@node-rs/argon2";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import pg from "pg";

const [port, workers] = process.argv.slice(2);
const argon2 = {
  algorithm: Algorithm.Argon2id,
  memoryCost: Number(process.env.ARGON2_MEMORY_KIB),
  timeCost: Number(process.env.ARGON2_TIME_COST),
  parallelism: Number(process.env.ARGON2_PARALLELISM),
};
const auth = betterAuth({
  baseURL: process.env.BETTER_AUTH_URL,
  secret: process.env.BETTER_AUTH_SECRET,
  database: new pg.Pool({ connectionString: process.env.DATABASE_URL, max: Number(process.env.POOL_SIZE) }),
  emailAndPassword: {
    enabled: true,
    password: {
      hash: (password) => hash(password, argon2),
      verify: ({ hash: hashed, password }) => verify(hashed, password),
    },
  },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  logger: { level: "error" },
});

if (port === "migrate") {
  const { runMigrations } = await getMigrations(auth.options);
  await runMigrations();
  process.exit(0);
} else if (cluster.isPrimary && Number(workers) > 1) {
  for (let made = 0; made < Number(workers); made += 1) cluster.fork();
} else {
  createServer(toNodeHandler(auth)).listen(Number(port), "127.0.0.1");
}
