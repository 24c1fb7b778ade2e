/** A double of the service in a process of the test's own, which can be killed and started again. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";

/** The command that starts one, as JSON. */
const COMMAND: string[] = JSON.parse(process.env.AUTH_DOUBLE ?? '["auth-service", "double"]');

export class Double {
  url = "";
  #process: ChildProcess | undefined;

  constructor(readonly options: string[]) {}

  /** Start it; it answers once this returns. */
  async start(...more: string[]): Promise<void> {
    const [program = "", ...words] = [...COMMAND, ...this.options, ...more];
    const child = spawn(program, words, { stdio: ["ignore", "pipe", "inherit"] });
    this.#process = child;
    const [told] = await once(child.stdout, "data");
    this.url = JSON.parse(String(told)).url;
    while (!(await fetch(`${this.url}/health/ready`).catch(() => undefined))?.ok) await pause(20);
  }

  /** End it at once, as a power failure would. */
  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    if (this.#process?.exitCode === null) await once(this.#process, "exit");
  }
}
