// The page: files in, the worker's answers out.

import { decodeAudio, wavFile } from "./audio.js";
import { asMel, parseNpy, writeNpy } from "./npy.js";
import { drawMel, valueRange } from "./picture.js";

const MAX_SECONDS = 20; // a longer sound takes minutes and much memory
const MIN_FRAMES = 8; // of the exported models

const element = (id) => document.getElementById(id);
const controls = ["preset", "file", "sample"].map(element);
let models, worker, addresses = [];
let answered; // of the request that runs: {resolve, reject}

function showStatus(text) {
  element("status").textContent = text;
}

function showError(text) {
  element("error").textContent = text;
  element("error").hidden = !text;
}

function setBusy(busy) {
  controls.forEach((control) => (control.disabled = busy));
  element("stop").hidden = element("bar").hidden = !busy;
}

function startWorker() {
  worker?.terminate();
  worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = ({ data }) => {
    if (data.status) showStatus(data.status);
    else if (data.error) answered.reject(new Error(data.error));
    else answered.resolve(data);
  };
  worker.onerror = () => {
    const message = "The computation could not start. Does this browser support WebAssembly?";
    answered?.reject(new Error(message));
  };
}

// Run a model in the worker; resolve to {output, shape, seconds}.
function run(model, input, shape, work) {
  return new Promise((resolve, reject) => {
    answered = { resolve, reject };
    worker.postMessage({ model, input, shape, work });
  });
}

function preset() {
  return models.presets.find(({ name }) => name === element("preset").value);
}

function describePreset() {
  const { sample_rate, n_mels, hop_length, source } = preset();
  const rate = `${sample_rate.toLocaleString("en")} Hz`;
  element("preset-hint").textContent =
    `${rate}, ${n_mels} bands, a frame every ${hop_length} samples; as in ${source}.`;
}

// Return an address for a file that players and links can use.
function addressOf(blob) {
  addresses.push(URL.createObjectURL(blob));
  return addresses.at(-1);
}

async function analyze(waveform, work) {
  const { analysis, n_mels } = preset();
  const { output, shape } = await run(analysis, waveform, [1, waveform.length], work);
  return { mel: output, nFrames: shape[2], nMels: n_mels };
}

// Return {waveform, mel, nFrames} of a file; a mel has no waveform.
async function readFile(name, buffer) {
  const { sample_rate, n_mels, hop_length } = preset();
  const most = MAX_SECONDS * sample_rate;
  if (name.toLowerCase().endsWith(".npy")) {
    const { mel, nFrames } = asMel(parseNpy(buffer), n_mels);
    if (nFrames * hop_length > most) {
      throw new Error(
        `The mel has ${nFrames} frames, ${((nFrames * hop_length) / sample_rate).toFixed(0)} s; ` +
          `this page takes ${MAX_SECONDS} s. Cut it, or use the command line.`,
      );
    }
    return { mel, nFrames };
  }
  const samples = (await decodeAudio(buffer, sample_rate)).slice(0, most);
  if (samples.length < MIN_FRAMES * hop_length) {
    throw new Error(`The sound is too short: it needs ${MIN_FRAMES * hop_length} samples.`);
  }
  return { waveform: samples, ...(await analyze(samples, "Computing the mel …")) };
}

function showMel(canvas, mel, range, label) {
  drawMel(canvas, mel, preset().n_mels, range);
  canvas.setAttribute("aria-label", label);
}

function showResult(name, original, inverted, seconds) {
  const { sample_rate, n_mels, name: presetName } = preset();
  addresses.splice(0).forEach((address) => URL.revokeObjectURL(address));
  const stem = name.replace(/\.[^.]*$/, "");
  const sound = addressOf(wavFile(inverted.waveform, sample_rate));
  const player = element("original-player");
  player.hidden = !original.waveform;
  element("original-caption").textContent = original.waveform ? "Original" : "The mel";
  if (original.waveform) player.src = addressOf(wavFile(original.waveform, sample_rate));
  else player.removeAttribute("src");
  element("inverted-player").src = sound;
  const range = valueRange(original.mel);
  showMel(element("original-mel"), original.mel, range, `Mel spectrogram of ${name}`);
  showMel(element("inverted-mel"), inverted.mel, range, "Mel spectrogram of the inverted sound");
  const duration = inverted.waveform.length / sample_rate;
  element("summary").textContent =
    `${name}, ${presetName}: ${duration.toFixed(1)} s of sound in ${seconds.toFixed(1)} s. ` +
    "The colors of both pictures show the same values.";
  const mel = new Blob([writeNpy(original.mel, [n_mels, original.nFrames])]);
  Object.assign(element("download-wav"), { href: sound, download: `${stem}-inverted.wav` });
  Object.assign(element("download-mel"), { href: addressOf(mel), download: `${stem}-mel.npy` });
  element("result").hidden = false;
  element("result").scrollIntoView({ block: "nearest" });
}

async function invert(name, buffer) {
  showError("");
  element("result").hidden = true;
  setBusy(true);
  showStatus("Reading the file …");
  try {
    const original = await readFile(name, buffer);
    if (original.nFrames < MIN_FRAMES) {
      throw new Error(`The mel has ${original.nFrames} frames; it needs ${MIN_FRAMES}.`);
    }
    const { inverter, n_mels } = preset();
    const shape = [1, n_mels, original.nFrames];
    const { output, seconds } = await run(inverter, original.mel, shape, "Inverting the mel …");
    const { mel } = await analyze(output, "Drawing …");
    showResult(name, original, { waveform: output, mel }, seconds);
    showStatus("Done.");
  } catch (error) {
    showError(error.message);
    showStatus("Ready.");
  } finally {
    setBusy(false);
  }
}

async function invertFile(file) {
  if (file) await invert(file.name, await file.arrayBuffer());
}

function listen() {
  element("preset").addEventListener("change", describePreset);
  element("file").addEventListener("change", async ({ target }) => {
    await invertFile(target.files[0]);
    target.value = ""; // so that the same file can be chosen again
  });
  element("sample").addEventListener("click", async () => {
    const response = await fetch(models.sample);
    await invert("sample-voice.wav", await response.arrayBuffer());
  });
  element("stop").addEventListener("click", () => {
    answered?.reject(new Error("Stopped."));
    startWorker();
  });
  element("input").addEventListener("submit", (event) => event.preventDefault());
  const drop = element("drop");
  for (const type of ["dragover", "dragleave", "drop"]) {
    // On the whole page: a file that misses the field would replace the page.
    document.addEventListener(type, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", type === "dragover" && drop.contains(event.target));
      if (type === "drop" && !element("file").disabled) invertFile(event.dataTransfer.files[0]);
    });
  }
}

async function start() {
  models = await (await fetch("models/models.json")).json();
  element("preset").append(
    ...models.presets.map(({ name, title }) => new Option(title, name)),
  );
  element("version").textContent = models.version;
  element("limit").textContent = MAX_SECONDS;
  describePreset();
  startWorker();
  listen();
  setBusy(false);
  showStatus("Ready. The model of a preset is loaded when you first use it.");
}

start().catch((error) => showError(`The page could not start: ${error.message}`));
