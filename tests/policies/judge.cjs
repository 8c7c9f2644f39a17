// Reads {"simulations": [...], "definitions": [...]}; writes what each request meets, and each state machine's faults.
const { readFileSync } = require("node:fs");
const { runSimulation } = require("@cloud-copilot/iam-simulate");
const validate = require("asl-validator");

async function decide(simulation) {
  const found = await runSimulation(simulation, {});
  if (found.resultType === "error") throw new Error(JSON.stringify([simulation.request, found]));
  return found.overallResult;
}

async function main() {
  const { simulations, definitions } = JSON.parse(readFileSync(0));
  const decisions = await Promise.all(simulations.map(decide));
  const faults = definitions.map((definition) => validate(definition).errors.map(({ message }) => message));
  process.stdout.write(JSON.stringify({ decisions, faults }));
}

main();
