// ONNX Runtime Web, outside the page's thread. Messages: {model, input, shape, work} with a model's
// address and a word for its work; answers: {status}, then {output, shape, seconds} or {error}.

import * as ort from "./runtime/ort.wasm.bundle.min.mjs";

ort.env.logLevel = "error";
ort.env.wasm.numThreads = 1; // more threads need headers that static hosts do not send
ort.env.wasm.wasmPaths = {
  wasm: new URL("./runtime/ort-wasm-simd-threaded.wasm", import.meta.url).href,
};

const sessions = new Map();

async function fetchModel(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`The model could not be loaded (${response.status}).`);
  return new Uint8Array(await response.arrayBuffer());
}

async function sessionOf(address, status) {
  if (!sessions.has(address)) {
    status("Loading the model …");
    const model = await fetchModel(address);
    status("Preparing the model, once for each preset …");
    const options = { executionProviders: ["wasm"], logSeverityLevel: 3 };
    sessions.set(address, await ort.InferenceSession.create(model, options));
  }
  return sessions.get(address);
}

self.onmessage = async ({ data: { model, input, shape, work } }) => {
  const status = (text) => self.postMessage({ status: text });
  try {
    const session = await sessionOf(model, status);
    status(work);
    const start = performance.now();
    const tensor = new ort.Tensor("float32", input, shape);
    const results = await session.run({ [session.inputNames[0]]: tensor });
    const result = results[session.outputNames[0]];
    const seconds = (performance.now() - start) / 1000;
    self.postMessage({ output: result.data, shape: result.dims, seconds });
  } catch (error) {
    self.postMessage({ error: error instanceof Error ? error.message : String(error) });
  }
};
