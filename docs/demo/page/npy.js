// NumPy's .npy files: real numbers in C order, versions 1 to 3 of the format.

const READERS = {
  "<f4": (view, at) => view.getFloat32(at, true),
  ">f4": (view, at) => view.getFloat32(at, false),
  "<f8": (view, at) => view.getFloat64(at, true),
  ">f8": (view, at) => view.getFloat64(at, false),
  "<f2": (view, at) => halfToNumber(view.getUint16(at, true)),
  ">f2": (view, at) => halfToNumber(view.getUint16(at, false)),
};

function halfToNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

// Return {shape, data}; throw an Error with a sentence for people.
export function parseNpy(buffer) {
  const bytes = new Uint8Array(buffer);
  const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
  if (bytes.length < 12 || magic.some((byte, index) => bytes[index] !== byte)) {
    throw new Error("This is not an .npy file: its first bytes are others. Save it by numpy.save.");
  }
  const view = new DataView(buffer);
  const wide = bytes[6] >= 2;
  const start = wide ? 12 : 10;
  const end = start + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder().decode(bytes.subarray(start, end));
  const type = /'descr':\s*'([^']*)'/.exec(header)?.[1];
  const order = /'fortran_order':\s*(True|False)/.exec(header)?.[1];
  const sizes = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1];
  if (order === undefined || sizes === undefined) {
    throw new Error("The header of this .npy file is damaged, or it holds several fields.");
  }
  const read = READERS[type];
  if (!read) {
    throw new Error(`This file holds ${type ?? "objects"}; a mel is float16, float32 or float64.`);
  }
  const shape = sizes.split(",").filter((size) => size.trim()).map(Number);
  const count = shape.reduce((product, size) => product * size, 1);
  const width = Number(type[2]);
  if (bytes.length < end + count * width) {
    throw new Error("This .npy file is truncated: its header promises more numbers than it has.");
  }
  const data = Float32Array.from({ length: count }, (_, index) => read(view, end + index * width));
  if (order === "True" && shape.filter((size) => size > 1).length > 1) {
    return { shape: [...shape].reverse(), data, reversed: true };
  }
  return { shape, data, reversed: false };
}

// Return {mel, nFrames} with mel as (nMels, nFrames), whichever way the file holds it.
export function asMel({ shape, data, reversed }, nMels) {
  const isLeading = (index) => (reversed ? index >= 2 : index < shape.length - 2);
  const sizes = shape.filter((size, index) => size !== 1 || !isLeading(index));
  if (sizes.length !== 2) {
    const full = reversed ? [...shape].reverse() : shape;
    throw new Error(`The array has the shape (${full.join(", ")}); a mel has bands and frames.`);
  }
  const [rows, columns] = sizes;
  if (rows !== nMels && columns !== nMels) {
    const found = reversed ? [columns, rows] : [rows, columns];
    throw new Error(
      `The mel has the shape (${found.join(", ")}); this preset has ${nMels} bands. ` +
        "Choose the preset of the mel.",
    );
  }
  if (data.some((value) => !Number.isFinite(value))) {
    throw new Error("The mel holds NaN or infinite values.");
  }
  // A square array is read as (bands, frames), in the order that the file says.
  const bandsFirst = rows === nMels && (columns !== nMels || !reversed);
  if (bandsFirst) return { mel: data, nFrames: columns };
  const mel = new Float32Array(data.length);
  for (let frame = 0; frame < rows; frame++) {
    for (let band = 0; band < nMels; band++) {
      mel[band * rows + frame] = data[frame * nMels + band];
    }
  }
  return { mel, nFrames: rows };
}

// Return the bytes of a float32 .npy file.
export function writeNpy(data, shape) {
  const fields = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")}), }`;
  const header = fields.padEnd(128 - 11) + "\n";
  const bytes = new Uint8Array(128 + 4 * data.length);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 118, 0]);
  bytes.set(new TextEncoder().encode(header), 10);
  bytes.set(new Uint8Array(Float32Array.from(data).buffer), 128);
  return bytes;
}
