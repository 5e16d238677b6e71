// Sound: files to samples of one channel, and samples to wav files.

// Decode any audio that the browser knows, resampled to a rate, its channels mixed to one.
export async function decodeAudio(buffer, sampleRate) {
  const context = new OfflineAudioContext(1, 1, sampleRate);
  let sound;
  try {
    sound = await context.decodeAudioData(buffer);
  } catch {
    throw new Error("The browser cannot decode this file as audio. Try a wav, flac, mp3 or ogg file.");
  }
  const samples = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    const data = sound.getChannelData(channel);
    for (let index = 0; index < data.length; index++) {
      samples[index] += data[index] / sound.numberOfChannels;
    }
  }
  return samples;
}

// Return a wav file of 32-bit floats: nothing is rounded or clipped.
export function wavFile(samples, sampleRate) {
  const bytes = new ArrayBuffer(58 + 4 * samples.length);
  const view = new DataView(bytes);
  const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 50 + 4 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 18, true);
  view.setUint16(20, 3, true); // floating point
  view.setUint16(22, 1, true); // channel
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, 4 * sampleRate, true);
  view.setUint16(32, 4, true);
  view.setUint16(34, 32, true);
  text(38, "fact");
  view.setUint32(42, 4, true);
  view.setUint32(46, samples.length, true);
  text(50, "data");
  view.setUint32(54, 4 * samples.length, true);
  samples.forEach((sample, index) => view.setFloat32(58 + 4 * index, sample, true));
  return new Blob([bytes], { type: "audio/wav" });
}
