// A mel as a picture: bands from low to high, frames from left to right.

// Matplotlib's "magma", every eighth of it.
const COLORS = [
  [0, 0, 4],
  [28, 16, 68],
  [79, 18, 123],
  [129, 37, 129],
  [181, 54, 122],
  [229, 80, 100],
  [251, 135, 97],
  [254, 194, 135],
  [252, 253, 191],
];

function color(value) {
  const place = Math.min(Math.max(value, 0), 1) * (COLORS.length - 1);
  const left = Math.min(Math.floor(place), COLORS.length - 2);
  return COLORS[left].map((from, channel) => from + (COLORS[left + 1][channel] - from) * (place - left));
}

// Return the values between which the colors lie: percentiles, so that single values do not decide.
export function valueRange(mel) {
  const sorted = Float32Array.from(mel).sort();
  const at = (part) => sorted[Math.round(part * (sorted.length - 1))];
  return [at(0.02), at(0.998)];
}

export function drawMel(canvas, mel, nMels, [low, high]) {
  const nFrames = mel.length / nMels;
  canvas.width = nFrames;
  canvas.height = nMels;
  const context = canvas.getContext("2d");
  const image = context.createImageData(nFrames, nMels);
  for (let band = 0; band < nMels; band++) {
    for (let frame = 0; frame < nFrames; frame++) {
      const value = (mel[band * nFrames + frame] - low) / (high - low || 1);
      image.data.set([...color(value), 255], 4 * ((nMels - 1 - band) * nFrames + frame));
    }
  }
  context.putImageData(image, 0, 0);
}
